"""What a run costs besides its training: `python -m bench.run_costs [--backbone NAME]`

Both orders with two seeds, one after the other in one process as the worker trains them, from an
empty store. Per run: from claiming it to the first image trained, its commits and its look inside,
as shares of the training with nothing computed before; then how long a durable history line takes.
"""

import argparse
import os
import time
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from bench.measured import new_store, seconds_of
from bench.speed import SIZES, studies
from tl_engine.learning.training import train
from tl_engine.runs import ClaimedRun, Run, RunState


class TimedRun(ClaimedRun):
    """A run that notes when its first epoch ended and how long its commits took, in seconds."""

    def __init__(self, run: Run) -> None:
        super().__init__(run)
        self.began, self.first_line, self.committing = time.perf_counter(), 0.0, 0.0

    def append_epoch(self, line: dict[str, Any]) -> None:
        """Note the time of the first line."""
        super().append_epoch(line)
        self.first_line = self.first_line or time.perf_counter() - self.began

    def commit(self, *arguments: Any, **options: Any) -> None:
        """Add the time that it takes."""
        self.committing += seconds_of(partial(super().commit, *arguments, **options))


def main() -> None:
    """Print a line per run, and one for history lines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0", choices=list(SIZES))
    backbone = parser.parse_args().backbone
    with new_store() as store:
        for run in store.create(replace(studies(backbone)["two"], pairs=2)).runs():
            timed = TimedRun(run)
            timed.begin()
            train(timed)
            timed.end(RunState.FINISHED, "Every epoch is done.", time.perf_counter() - timed.began)
            training = sum(line["cold_seconds"] for line in run.epochs())
            looking = sum(phase["diagnosis_seconds"] for phase in run.scores["phases"])
            start = timed.first_line - run.epochs()[0]["seconds"]
            print(
                f"{backbone}, {run.arm}, pair {run.pair}: start {start:.2f} s, training "
                f"{training:.1f} s, commits {timed.committing / training:.1%}, "
                f"looking inside {looking / training:.1%}",
                flush=True,
            )
        line = run.epochs()[-1]
        times = [1000 * seconds_of(partial(timed.append_epoch, line)) for _ in range(200)]
    print(f"a durable history line: {median(times):.2f} ms (slowest {max(times):.1f})")


if __name__ == "__main__":
    main()
