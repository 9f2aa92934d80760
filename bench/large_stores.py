"""Stores of many runs: `python -m bench.large_stores [runs|curves|studies|verdicts ...]`

runs: 10,000 runs, one in a hundred damaged: listing them, and Overview in a cold browser.
curves: 1,000 runs of 100 epochs: the figure of 200 curves, Overview and the chart of all of them.
studies: Compare with 40, 160 and 500 studies of 4 runs in its address, in a cold browser.
verdicts: 10 arms of 30 pairs judged anew, as a live page does after each pair.
"""

import argparse
import os
import subprocess
import sys
import time
from statistics import median

import numpy as np

from bench.measured import compare_pages, new_store, seconds_of, show
from tests.server import PROJECT
from tl_engine.analysis.score_table import score_table
from tl_engine.analysis.work import sizes_of
from tl_engine.recipe import Phase, Recipe
from tl_engine.report.arms import arms_of, question_of
from tl_engine.report.judgement import judge
from tl_engine.runs import (
    Checkpoint,
    ClaimedRun,
    Run,
    RunState,
    RunStore,
    epoch_line,
    joined_history,
    summarise,
)
from tl_engine.study import Arm, Study, name_arms, with_reversed

REPETITIONS = 5
SETTLED = 2.5
"""Seconds: a file that changed a moment ago is read again, a settled one stays in memory."""
LIST = ("[data-testid=stDataFrame] canvas", 1)
CURVES = (".scatterlayer .js-line", 1)
DRAW = """
import sys, time
import plotly, pandas, plotly.graph_objects
from tl_engine.charts.learning_curves import learning_curves
from tl_engine.runs import RunStore, joined_history
runs = list(RunStore(sys.argv[1]).runs())[:200]
began = time.perf_counter()
learning_curves(joined_history(runs))
print(f"{time.perf_counter() - began:.2f} s")
"""


def fill(store: RunStore, studies: int, pairs: int, epochs: int = 6) -> None:
    """Write studies of two arms, each of recipes that no other study has."""
    for number in range(studies):
        rate = 1e-5 * (1 + number / 1000)
        recipe = Recipe((Phase("all", 2, rate), Phase("head", epochs - 2, 1e-3)))
        finish(store, Study(f"Study {number}", name_arms(with_reversed([recipe])), pairs))


def finish(store: RunStore, study: Study) -> list[Run]:
    """A new study's runs, written as the engine writes them, without waiting for the disk."""
    os.fsync = lambda fd: None
    runs = store.create(study).runs()
    for run in map(ClaimedRun, runs):
        run.begin()
        indexed = enumerate(run.recipe.phases)
        phases = [(index, phase) for index, phase in indexed for _ in range(phase.epochs)]
        epochs = len(phases)
        for epoch, (index, phase) in enumerate(phases, start=1):
            accuracy = 0.5 + 0.3 * epoch / epochs + 0.001 * (hash(run.id) % 9)
            measured = {"seconds": 10.0, "images": 1000, "running_loss": 1.0, "loss": 1.0}
            measured |= {"accuracy": 0.7, "val_loss": 1.0, "val_accuracy": accuracy}
            run.append_epoch(epoch_line(epoch, index, phase, measured))
        arrays = {"0000": np.zeros(4, "float32")}
        run.commit(Checkpoint(epochs, 0, arrays, arrays, {}))
        validation = {"correct": 7, "total": 10, "confusion": np.eye(10, dtype=int).tolist()}
        run.record_results({"splits": {"validation": validation}, "phases": []}, arrays)
        run.end(RunState.FINISHED, "Every epoch is done.", 60.0)
    return runs


def measure_runs(store: RunStore) -> None:
    """List twice in one process, as the server does."""
    fill(store, studies=500, pairs=10)
    damaged = list(store.runs())[::100]
    for run in damaged:
        content = bytearray((run.path / "history.jsonl").read_bytes())
        content[len(content) // 2] ^= 1
        (run.path / "history.jsonl").write_bytes(content)
    time.sleep(SETTLED)

    def list_all() -> None:
        states = [summarise(run).state for run in store.runs()]
        assert states.count(RunState.DAMAGED) == len(damaged)

    first, *later = (seconds_of(list_all) for _ in range(1 + REPETITIONS))
    show("first listing of 10,000 runs", f"{first:.2f} s")
    show("then", f"{median(later):.2f} s (slowest {max(later):.2f} s)")
    show("the worker's look for the next run", f"{seconds_of(store.next_waiting):.2f} s")
    seconds = compare_pages(store.root, {"": LIST}, REPETITIONS)
    show("Overview's list", f"{median(seconds['']):.2f} s")


def measure_curves(store: RunStore) -> None:
    """Draw in a process that has read nothing, then in a browser."""
    fill(store, studies=50, pairs=10, epochs=100)
    drawn = subprocess.run(
        [sys.executable, "-c", DRAW, str(store.root)], cwd=PROJECT, capture_output=True, check=True
    )
    show("figure of 200 curves", drawn.stdout.decode().strip(), "at most 1 s")
    _measure_charts(store, "chart of 1,000 curves", "at most 4 s")


def measure_studies(store: RunStore) -> None:
    """Compare with ever more studies."""
    for studies in (40, 160, 500):
        growing = RunStore(store.root / str(studies))
        fill(growing, studies, pairs=2)
        _measure_charts(growing, f"Compare with {studies} studies")


def _measure_charts(store: RunStore, what: str, limit: str = "") -> None:
    compare = "Compare?ids=" + ",".join(study.id for study in store.studies())
    seconds = compare_pages(store.root, {"": LIST, compare: CURVES}, REPETITIONS)
    show("Overview's list", f"{median(seconds['']):.2f} s", "at most 2 s")
    show(what, f"{median(seconds[compare]):.2f} s", limit)


def measure_verdicts(store: RunStore) -> None:
    """From histories in memory to sentences."""
    heads = [Phase("head", 4, round(1e-3 * 1.3**number, 9)) for number in range(10)]
    recipes = [Recipe((Phase("all", 2, 1e-5), head)) for head in heads]
    arms = tuple(Arm(f"Rate {number}", recipe) for number, recipe in enumerate(recipes))
    runs = finish(store, Study("Ten rates", arms, pairs=30))
    time.sleep(SETTLED)
    validation = {run.id: sizes_of(run.recipe).validation for run in runs}
    times = []
    for _ in range(1 + REPETITIONS):
        history = joined_history(runs)
        scored = score_table(history, validation)
        began = time.perf_counter()
        compared = arms_of(runs)
        judged = judge(compared, scored, history, question_of(compared, scored))
        times.append(time.perf_counter() - began)
    verdicts = sum(one.verdict is not None for one in judged)
    show(f"{verdicts} verdicts", f"{median(times[1:]):.3f} s", "at most 0.1 s")


def main() -> None:
    """Measure what is named, each in a store of its own; without names, everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    makers = (measure_runs, measure_curves, measure_studies, measure_verdicts)
    measure = {maker.__name__.removeprefix("measure_"): maker for maker in makers}
    parser.add_argument("what", nargs="*", default=list(measure), help=", ".join(measure))
    for what in parser.parse_args().what:
        with new_store() as store:
            measure[what](store)


if __name__ == "__main__":
    main()
