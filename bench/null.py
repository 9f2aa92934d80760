"""How often Thaw sees a difference where there is none: `python -m bench.null [--keep FOLDER]`

100 contrasts of 5 pairs on real runs of the tiny network: both arms have the same recipe, and seeds
of their own, so that whatever an arm is said to be ahead by is chance. Ten recipes with 100 seeds
each make ten contrasts each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

import numpy as np

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.verdict import Outcome, decide
from tl_engine.execution.worker import drain
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunStore, StudyFolder
from tl_engine.study import Arm, Study

RECIPES, SEEDS, PAIRS = 10, 100, 5
SMALLEST = 0.005


def recipe(number: int) -> Recipe:
    """A small recipe of its own: 100 to 190 training images."""
    return Recipe(
        (Phase("head", 2, 1e-2), Phase("all", 2, 1e-3)),
        backbone="tiny",
        pretrained=False,
        train_images=100 + 10 * number,
        image_size=16,
        batch_size=32,
    )


def claims(study: StudyFolder) -> list[Outcome]:
    """What is said of each contrast of a study's first seeds with those after them."""
    last = {run.pair: run.epochs()[-1]["val_accuracy"] for run in study.runs()}
    scores = np.array([last[pair] for pair in sorted(last)]).reshape(-1, 2, PAIRS)
    return [
        decide(Pairs(gains, "One", "The other", PAIRS, gains), SMALLEST).outcome
        for gains in scores[:, 0] - scores[:, 1]
    ]


def main() -> None:
    """Train, judge, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", help="a folder for the runs; what is there is not trained again")
    options = parser.parse_args()
    with nullcontext(options.keep) if options.keep else tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        if store.is_empty:
            for number in range(RECIPES):
                arm = Arm("One and the other", recipe(number))
                store.create(Study(f"Null {number}", (arm,), pairs=SEEDS))
        drain(store, linger=0.0)
        outcomes = [outcome for study in store.studies() for outcome in claims(study)]
    for outcome in Outcome:
        print(f"{outcome.value}: {outcomes.count(outcome)} of {len(outcomes)}")
    wrong = sum(outcome in (Outcome.BETTER, Outcome.SMALL) for outcome in outcomes)
    print(f"an arm said to be ahead: {wrong} of {len(outcomes)} (at most 10 are to be expected)")


if __name__ == "__main__":
    main()
