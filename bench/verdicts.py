"""How long verdicts on 10 arms of 30 pairs take: `python -m bench.verdicts`

A store of runs as the engine writes them, read once; then every contrast is judged anew, as a live
page does after each pair: histories in memory to sentences.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench.app import say
from bench.many_runs import finish_all
from tl_engine.analysis.score_table import score_table
from tl_engine.execution.cost import sizes_of
from tl_engine.recipe import Phase, Recipe
from tl_engine.report.arms import arms_of
from tl_engine.report.judgement import judge
from tl_engine.report.question import question_of
from tl_engine.runs import RunStore, joined_history
from tl_engine.study import Arm, Study

REPETITIONS = 20


def study(arms: int, pairs: int) -> Study:
    """Arms that differ in the head's learning rate."""
    recipes = [
        Recipe((Phase("all", 2, 1e-5), Phase("head", 4, round(1e-3 * 1.3**number, 9))))
        for number in range(arms)
    ]
    named = tuple(Arm(f"Rate {number}", recipe) for number, recipe in enumerate(recipes))
    return Study("Ten rates", named, pairs)


def main() -> None:
    """Fill, read, then judge again and again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--pairs", type=int, default=30)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        runs = finish_all(store.create(study(options.arms, options.pairs)))
        time.sleep(2.5)  # what changed this moment is not kept
        validation = {run.id: sizes_of(run.recipe).validation for run in runs}
        tables, verdicts = [], []
        for _ in range(1 + REPETITIONS):
            began = time.perf_counter()
            history = joined_history(runs)
            scored = score_table(history, validation)
            read = time.perf_counter()
            arms = arms_of(runs)
            judged = judge(arms, scored, history, question_of(arms, scored))
            ended = time.perf_counter()
            tables.append(read - began)
            verdicts.append(ended - read)
        said = sum(one.verdict is not None for one in judged)
    say(f"verdicts on {said} contrasts", f"{statistics.median(verdicts[1:]):.3f} s", "0.1 s")
    say("histories and scores before that", f"{statistics.median(tables[1:]):.3f} s", "")


if __name__ == "__main__":
    main()
