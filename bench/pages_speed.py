"""The app's speed: `make bench-app`, or `python -m bench.pages_speed` for the same.

Prints one line per figure with its limit: Try it from the command line, classification with and
without a loaded model, the server's memory, each page's time in a cold browser beside an empty
Streamlit page, and the delay from a finished epoch to its point on the chart.
"""

import json
import subprocess
import sys
import time
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from bench.measured import compare_pages, new_store, seconds_of, show
from tests.crowd import train_one
from tests.server import PROJECT, browser, server
from tl_engine.execution.predictor import Predictor
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_requests import request_stop

REPETITIONS = 9
COMPLETE = {
    "": ("[data-testid=stDataFrame] canvas", 1),
    "Launch": (".st-key-launch button:not([disabled])", 1),
    "Compare": (".js-plotly-plot", 5),
    "Classify": ("[data-testid=stImage] img", 21),
}


def main() -> None:
    """Measure everything, in this order."""
    with new_store() as store:
        measure_try_it(store)
        measure_classification(store)
        measure_pages(store)
        measure_live_points(store)


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
    with Predictor(store) as predictor:
        classify = partial(predictor.classify, run, picture)
        first, *later = (seconds_of(classify) for _ in range(1 + REPETITIONS))
    show("first classification", f"{first:.1f} s", "at most 10 s")
    show("then", f"{median(later):.3f} s", "at most 0.3 s")


def measure_pages(store: RunStore) -> None:
    """Each page later than an empty one of its round: a slow minute of the machine is in both."""
    seconds = compare_pages(store.root, COMPLETE, REPETITIONS)
    empty = seconds.pop("empty")
    for page, taken in seconds.items():
        later = median(a - b for a, b in zip(taken, empty, strict=True))
        show(f"{page or 'Overview'}, after the empty page", f"{later:+.2f} s", "at most 0.7 s")


def measure_live_points(store: RunStore) -> None:
    """From the line in history.jsonl to the point on an open chart."""
    with server(store.root) as (address, _), browser() as chromium:
        run = train_one(store)
        page = chromium.new_page()
        page.goto(f"{address}/Compare?ids={run.id}")
        points = page.locator(".js-plotly-plot >> nth=0 >> .scatterlayer .point")
        while len(run.epochs()) < 2:
            time.sleep(0.1)
        delays = [_delay(run, page, points) for _ in range(8)]
        request_stop(run)
    show("epoch to chart", f"median {median(delays):.1f} s", "at most 2 s")
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
