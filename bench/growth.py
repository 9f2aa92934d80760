"""How cost grows: `python -m bench.growth`.

For images, epochs and seeds a study of both orders (EfficientNet-Lite0, 32 px) is trained at three
sizes in fresh processes, each from an empty store; for runs a store is listed. The slope is that
of log time over log size: 1 means twice as much takes twice as long, 0 that it takes no longer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from bench.many_runs import fill
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunState, RunStore, summarise
from tl_engine.runs.run_outputs import log_tail
from tl_engine.study import Study, name_arms, with_reversed

SIZES = {
    "images": (1250, 2500, 5000),
    "epochs of all layers": (2, 4, 8),
    "epochs of the head": (10, 20, 40),
    "seeds": (1, 2, 4),
}


def study(what: str, size: int) -> Study:
    """A study in which one thing has that size, and the others are small."""
    number = {"images": 1250, "epochs of all layers": 1, "epochs of the head": 4, "seeds": 1}
    number[what] = size
    phases = (
        Phase("all", number["epochs of all layers"], 1e-5),
        Phase("head", number["epochs of the head"], 1e-3),
    )
    recipe = Recipe(phases, train_images=number["images"], image_size=32)
    return Study(what, name_arms(with_reversed([recipe])), number["seeds"])


def drain(what: str, size: int) -> None:
    """Train the study in this process' worker and print the seconds after the first step."""
    from tl_engine.execution import worker

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        runs = store.create(study(what, size)).runs()
        worker.drain(store, linger=0)
        assert all(run.state is RunState.FINISHED for run in runs), log_tail(runs[0])
        print(sum(line["seconds"] for run in runs for line in run.epochs()))


def train(what: str, size: int) -> float:
    """Seconds of all epochs of the study, in a process of its own."""
    words = [sys.executable, "-m", "bench.growth", "--what", what, "--size", str(size)]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def listing(runs: int) -> float:
    """Seconds of the first list of a store of so many runs."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        fill(store, runs)
        began = time.perf_counter()
        states = [summarise(run).state for run in store.runs()]
        assert len(states) == runs
        return time.perf_counter() - began


def report(what: str, sizes: tuple[int, ...], seconds: list[float]) -> None:
    """A line: what grows, its sizes and seconds, the slope."""
    slope = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
    points = ", ".join(
        f"{size:,}: {taken:.1f} s" for size, taken in zip(sizes, seconds, strict=True)
    )
    print(f"{what:<22}{points:<46}slope {slope:.2f}", flush=True)


def main() -> None:
    """Measure each, smallest first."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--what", choices=list(SIZES), help=argparse.SUPPRESS)
    parser.add_argument("--size", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.what:
        drain(options.what, options.size)
        return
    for what, sizes in SIZES.items():
        report(what, sizes, [train(what, size) for size in sizes])
    report("runs in the store", (500, 1000, 2000), [listing(runs) for runs in (500, 1000, 2000)])


if __name__ == "__main__":
    main()
