"""A thousand runs of 100 epochs in one chart: `python -m bench.many_curves [--runs 1000]`

Prints one line per figure with its floor: from asking for 200 curves to their figure in a process
that has read nothing, then Overview's list and the chart of all curves in a cold browser, from a
server that has shown both before. A thing is there when the browser has painted it; what stands
further down the page may still come.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import psutil

from bench.app import say
from bench.many_runs import fill
from bench.painted import seen
from tests.server import PROJECT, browser, server
from tl_engine.runs import RunStore

EPOCHS, CURVES = 100, 200
REPETITIONS = 5
DRAWING = """
import sys, time
import plotly, pandas, plotly.graph_objects
from tl_engine.charts.learning_curves import learning_curves
from tl_engine.runs import RunStore, joined_history
runs = list(RunStore(sys.argv[1]).runs())[: int(sys.argv[2])]
began = time.perf_counter()
learning_curves(joined_history(runs))
print(time.perf_counter() - began)
"""


def drawing(store: RunStore) -> list[float]:
    """Seconds from asking for curves to their figure, each time in a process of its own."""
    command = [sys.executable, "-c", DRAWING, str(store.root), str(CURVES)]
    return [
        float(subprocess.run(command, cwd=PROJECT, capture_output=True, check=True).stdout)
        for _ in range(REPETITIONS)
    ]


def pages(store: RunStore) -> None:
    """Overview and Compare with everything, beside an empty page."""
    ids = ",".join(study.id for study in store.studies())
    complete = {
        "": ("list of runs", "[data-testid=stDataFrame] canvas", "at most 2 s"),
        f"Compare?ids={ids}": ("chart of them all", ".scatterlayer .js-line", "at most 4 s"),
    }
    with (
        server(store.root) as (address, process),
        server(store.root, PROJECT / "bench" / "empty.py") as (empty, _),
        browser() as chromium,
    ):
        times: dict[str, list[float]] = {page: [] for page in complete}
        empties = []
        for _ in range(1 + REPETITIONS):  # the first round warms the server and is not counted
            empties.append(seen(chromium, empty, "[data-testid=stMarkdown]"))
            for page, (_, sign, _) in complete.items():
                times[page].append(seen(chromium, f"{address}/{page}", sign))
        say("empty Streamlit page", f"{statistics.median(empties[1:]):.2f} s", "")
        for page, (what, _, floor) in complete.items():
            say(what, f"{statistics.median(times[page][1:]):.2f} s", floor)
        memory = psutil.Process(process.pid).memory_info().rss / 1e6
        say("server after that", f"{memory:.0f} MB", "at most 300 MB")


def main() -> None:
    """Fill a store, then measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        fill(store, options.runs, EPOCHS)
        say(f"figure of {CURVES} curves", f"{statistics.median(drawing(store)):.2f} s", "1 s")
        pages(store)


if __name__ == "__main__":
    main()
