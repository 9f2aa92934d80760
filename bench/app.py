"""Measure the app: `make bench-app`, or `python -m bench.app` for the same.

Prints one line per figure with its floor: the server's memory, each page's time in a cold browser
beside an empty Streamlit page measured in turn with it, the delay from a finished epoch to its
point on the chart, Try it from the command line, and classification cold and warm.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from tests.server import PROJECT, browser, server
from tl_engine.execution.local import launch
from tl_engine.execution.predictor import Predictor
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Study, name_arms, with_reversed

REPETITIONS = 9
COMPLETE = {
    # page: what is there when it is complete, after the script has ended
    "": "[data-testid=stDataFrame] canvas",
    "Launch": "button:has-text('Launch 2 runs')",
    "Compare": ".js-plotly-plot >> nth=4",
    "Classify": "[data-testid=stImage] img >> nth=20",
}


def main() -> None:
    """Measure everything, in this order."""
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        try_it(store)
        classification(store)
        pages(store)
        live_points(RunStore(Path(folder) / "live"))


def try_it(store: RunStore) -> None:
    """The whole main job, without a browser."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "tl_engine", "run", "--preset", "try-it", "--json"]
    done = subprocess.run(
        [*command, "--runs-dir", str(store.root)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - began
    runs = json.loads(done.stdout)["runs"]
    scores = ", ".join(f"{run['arm']} {run['val_accuracy']:.3f}" for run in runs)
    say("Try it, both orders", f"{seconds:.0f} s", "at most 180 s")
    say("validation accuracy", scores, "at least 0.74 each")


def classification(store: RunStore) -> None:
    """One picture: from nothing, then again."""
    run = next(store.runs())
    picture = np.zeros((1, 28, 28, 3), np.uint8)
    times = []
    with Predictor(store) as predictor:
        for _ in range(1 + REPETITIONS):
            began = time.perf_counter()
            predictor.classify(run, picture)
            times.append(time.perf_counter() - began)
    say("first classification", f"{times[0]:.1f} s", "at most 10 s")
    say("then", f"{statistics.median(times[1:]):.3f} s", "at most 0.3 s")


def pages(store: RunStore) -> None:
    """Every page in a browser without a cache, in turn with an empty page."""
    with (
        server(store.root) as (address, process),
        server(store.root, PROJECT / "bench" / "empty.py") as (empty, _),
        browser() as chromium,
    ):
        times: dict[str, list[float]] = {name: [] for name in ["empty", *COMPLETE]}
        for _ in range(1 + REPETITIONS):  # the first round warms the servers and is not counted
            times["empty"].append(load(chromium, empty, "text=empty"))
            for name, sign in COMPLETE.items():
                times[name].append(load(chromium, f"{address}/{name}", sign))
        empties = times.pop("empty")[1:]
        say("empty Streamlit page", f"{statistics.median(empties):.2f} s", "")
        for name, taken in times.items():
            # Within a round, so that a slow minute of the machine is on both sides.
            later = statistics.median(a - b for a, b in zip(taken[1:], empties, strict=True))
            say(f"{name or 'Overview'}, after the empty page", f"{later:+.2f} s", "at most 0.7 s")
        memory = psutil.Process(process.pid).memory_info().rss / 1e6
        loaded = Path(f"/proc/{process.pid}/maps").read_text()
        say("server after that", f"{memory:.0f} MB", "at most 300 MB")
        say("TensorFlow in it", "yes" if "tensorflow" in loaded else "no", "no")


def load(chromium, address: str, sign: str) -> float:
    """Seconds until a page is complete in a context of its own: no cache, no cookies."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.locator(sign).first.wait_for(state="attached", timeout=60_000)
    page.locator("[data-test-script-state=notRunning]").first.wait_for(
        state="attached", timeout=60_000
    )
    seconds = time.perf_counter() - began
    context.close()
    return seconds


def live_points(store: RunStore) -> None:
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
        while not run.state.is_over and len(delays) < 8:
            delays.append(_delay(run, page, points))
        if not run.state.is_over:
            request_stop(run)
    say("epoch to chart", f"median {statistics.median(delays):.1f} s", "at most 2 s")
    say("slowest of " + str(len(delays)), f"{max(delays):.1f} s", "at most 2 s")


def _delay(run: Run, page, points) -> float:
    known = len(run.epochs())
    while len(run.epochs()) == known:
        page.wait_for_timeout(20)
    began = time.perf_counter()
    while points.count() <= known:
        page.wait_for_timeout(20)
    return time.perf_counter() - began


def say(what: str, value: str, floor: str) -> None:
    """Print one figure."""
    print(f"{what:<36}{value:<52}{floor}", flush=True)


if __name__ == "__main__":
    main()
