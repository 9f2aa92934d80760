"""What a run costs besides its training: `python -m bench.overhead [--backbone NAME]`.

Trains three runs of one recipe with different seeds in one process, as the worker does, and times
the way from claiming each to its first training step; then how long a durable history line takes.
Random weights stand for published ones that would have to be downloaded: every seed gets the same.
"""

from __future__ import annotations

import argparse
import functools
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras

from tl_engine.catalog.backbones import BACKBONES, Backbone
from tl_engine.learning import architectures
from tl_engine.learning.batches import TrainingGraph
from tl_engine.learning.training import train
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.study import Arm, Study

LINES = 200


def _random(described: Backbone, with_top: bool) -> keras.Model:
    return architectures._construct(described, described.input_size, with_top, weights=None)


def main() -> None:
    """Print one line per figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0", choices=sorted(BACKBONES))
    backbone = parser.parse_args().backbone
    if not BACKBONES[backbone].offline:
        architectures._published = functools.cache(_random)
    phases = (Phase("all", 1, 1e-5), Phase("head", 1, 1e-3))
    recipe = Recipe(phases, backbone=backbone, train_images=128)
    steps: list[float] = []
    learn = TrainingGraph.train

    def timed(
        graph: TrainingGraph, source, labels, order, size, beat, skipped=0, at_once=1
    ) -> None:
        def first(done: int) -> None:
            steps.append(time.perf_counter())
            beat(done)

        learn(graph, source, labels, order, size, first, skipped, at_once)

    TrainingGraph.train = timed  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        for run in store.create(Study("Overhead", (Arm("Arm", recipe),), pairs=3)).runs():
            claimed, began = ClaimedRun(run), time.perf_counter()
            steps.clear()
            claimed.begin()
            train(claimed)
            ended = time.perf_counter()
            claimed.end(RunState.FINISHED, "Every epoch is done.", ended - began)
            first, second = steps[0] - began, steps[1] - steps[0]
            print(
                f"{backbone}, run {run.pair}: claim to the end of its first step {first:.2f} s, "
                f"of which the step about {second:.2f} s; whole run {ended - began:.1f} s"
            )
        line, times = run.epochs()[-1], []
        for _ in range(LINES):
            began = time.perf_counter()
            claimed.append_epoch(line)
            times.append(1000 * (time.perf_counter() - began))
        print(
            f"a durable history line: {statistics.median(times):.2f} ms (slowest {max(times):.1f})"
        )


if __name__ == "__main__":
    main()
