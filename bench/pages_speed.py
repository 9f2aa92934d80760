"""The app's speed: `make bench-app`, or `python -m bench.pages_speed` for the same.

Prints one line per figure with its limit: Try it from the command line, classification with and
without a loaded model, the server's memory, each page's time in a cold browser beside an empty
Streamlit page, and the delay from a finished epoch to its point on the chart.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from bench.browser_time import compare_pages, show
from tests.server import PROJECT, browser, server
from tl_engine.execution.launcher import launch
from tl_engine.execution.predictor import Predictor
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Study, name_arms, with_reversed

REPETITIONS = 9
POINTS = 8
COMPLETE = {
    "": ("[data-testid=stDataFrame] canvas", 1),
    "Launch": (".st-key-launch button:not([disabled])", 1),
    "Compare": (".js-plotly-plot", 5),
    "Classify": ("[data-testid=stImage] img", 21),
}


def main() -> None:
    """Measure everything, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        measure_try_it(store)
        measure_classification(store)
        measure_pages(store)
        measure_live_points(RunStore(Path(folder) / "live"))


def measure_try_it(store: RunStore) -> None:
    """The whole main job, without a browser."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tl_engine", "run", "--preset", "try-it", "--json"]
    command += ["--runs-dir", str(store.root)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=True)
    show("Try it, both orders", f"{time.perf_counter() - began:.0f} s", "at most 180 s")
    runs = json.loads(done.stdout)["runs"]
    scores = ", ".join(f"{run['arm']} {run['val_accuracy']:.3f}" for run in runs)
    show("validation accuracy", scores, "at least 0.74 each")


def measure_classification(store: RunStore) -> None:
    """One picture: with no model loaded, then again."""
    run = next(store.runs())
    picture = np.zeros((1, 28, 28, 3), np.uint8)
    times = []
    with Predictor(store) as predictor:
        for _ in range(1 + REPETITIONS):
            began = time.perf_counter()
            predictor.classify(run, picture)
            times.append(time.perf_counter() - began)
    show("first classification", f"{times[0]:.1f} s", "at most 10 s")
    show("then", f"{statistics.median(times[1:]):.3f} s", "at most 0.3 s")


def measure_pages(store: RunStore) -> None:
    """Every page later than an empty one of the same round, so that a slow minute of the machine
    is on both sides."""
    seconds = compare_pages(store.root, COMPLETE, REPETITIONS)
    empty = seconds.pop("empty")
    for page, taken in seconds.items():
        later = statistics.median(a - b for a, b in zip(taken, empty, strict=True))
        show(f"{page or 'Overview'}, after the empty page", f"{later:+.2f} s", "at most 0.7 s")


def measure_live_points(store: RunStore) -> None:
    """From the line in history.jsonl to the point on an open chart."""
    phases = (Phase("all", 30, 1e-4), Phase("head", 1, 1e-3))
    recipe = Recipe(phases, backbone="tiny", pretrained=False, train_images=5000, image_size=32)
    study = Study("Live", name_arms(with_reversed([recipe])[:1]))
    delays: list[float] = []
    with server(store.root) as (address, _), browser() as chromium:
        run = launch(study, store).runs()[0]
        page = chromium.new_page()
        page.goto(f"{address}/Compare?ids={run.id}")
        points = page.locator(".js-plotly-plot >> nth=0 >> .scatterlayer .point")
        while len(run.epochs()) < 2:
            time.sleep(0.1)
        while not run.state.is_over and len(delays) < POINTS:
            delays.append(_delay(run, page, points))
        if not run.state.is_over:
            request_stop(run)
    show("epoch to chart", f"median {statistics.median(delays):.1f} s", "at most 2 s")
    show(f"slowest of {len(delays)}", f"{max(delays):.1f} s", "at most 2 s")


def _delay(run: Run, page: Any, points: Any) -> float:
    before = len(run.epochs())
    while len(run.epochs()) == before:
        page.wait_for_timeout(20)
    began = time.perf_counter()
    while points.count() <= before:
        page.wait_for_timeout(20)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
