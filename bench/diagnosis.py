"""What looking inside costs: `python -m bench.diagnosis [--backbone NAME] [--images N]`.

Trains the study of both orders, two seeds, in one process as the worker does, and sets the seconds
of looking inside beside those that training took, with nothing computed before.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from bench.speed import SIZES, recipe_of
from tl_engine.catalog.presets import ARTICLE_ALL, ARTICLE_HEAD
from tl_engine.runs import RunStore
from tl_engine.study import Study, name_arms, with_reversed


def main() -> None:
    """Print a line per run, and one for all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0", choices=list(SIZES))
    parser.add_argument("--images", type=int, default=1000)
    options = parser.parse_args()
    recipe = recipe_of(options.backbone, ARTICLE_ALL, ARTICLE_HEAD)
    recipe = replace(recipe, train_images=options.images)
    study = Study("Both orders", name_arms(with_reversed([recipe])), pairs=2)
    looking = training = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for arm, pair, trained, looked in _drained(RunStore(Path(folder) / "runs"), study):
            print(
                f"{arm}, pair {pair}: training {trained:.1f} s, looking inside {looked:.2f} s "
                f"({looked / trained:.1%})"
            )
            looking, training = looking + looked, training + trained
    print(f"{options.backbone}, all runs: {looking / training:.1%}")


def _drained(store: RunStore, study: Study) -> list[tuple[str, int, float, float]]:
    from tl_engine.execution import worker

    made = store.create(study)
    worker.drain(store, linger=0)
    return [
        (
            run.arm,
            run.pair,
            sum(line["cold_seconds"] for line in run.epochs()),
            sum(phase["diagnosis_seconds"] for phase in run.scores["phases"]),
        )
        for run in made.runs()
    ]


if __name__ == "__main__":
    main()
