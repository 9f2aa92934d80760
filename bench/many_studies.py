"""Compare with many studies: how long does a visit take, and how much memory?

python -m bench.many_studies [--studies 40 160 500] [--runs 4]

The address names every study. Each number of studies is measured in a process of its own, first
with nothing read and then again, as the server does when somebody clicks.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.many_runs import finish_all
from tests.server import PROJECT
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunStore
from tl_engine.study import Study, name_arms, with_reversed

LIMIT_SECONDS = 240


def fill(store: RunStore, studies: int, runs: int) -> None:
    """Write studies of finished runs, two arms each, of recipes that no other study has."""
    for number in range(studies):
        rate = 1e-5 * (1 + number / 1000)
        recipe = Recipe((Phase("all", 2, rate), Phase("head", 4, 1e-3)))
        arms = name_arms(with_reversed([recipe]))
        finish_all(store.create(Study(f"Study {number}", arms, runs // 2)))


def visit(root: Path) -> None:
    """Print the seconds of a first and a second visit, and the most memory in MB."""
    from streamlit.testing.v1 import AppTest

    os.environ["THAW_RUNS_DIR"] = str(root)
    ids = ",".join(study.id for study in RunStore(root).studies())
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=LIMIT_SECONDS)
    app.switch_page("pages/2_Compare.py")
    app.query_params["ids"] = ids
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        app.run()
        seconds.append(time.perf_counter() - began)
    if app.exception or app.error:
        raise SystemExit(f"The page shows an error: {[e.value for e in app.error]}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    print(f"first {seconds[0]:5.1f} s, again {seconds[1]:5.1f} s, {memory:,.0f} MB at most")


def main() -> None:
    """Fill a store for each number of studies and visit it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, nargs="+", default=[40, 160, 500])
    parser.add_argument("--runs", type=int, default=4, help="runs of each study, an even number")
    parser.add_argument("--visit", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.visit:
        visit(options.visit)
        return
    for studies in options.studies:
        with tempfile.TemporaryDirectory() as folder:
            store = RunStore(Path(folder) / "runs")
            fill(store, studies, options.runs)
            time.sleep(2.5)  # what changed this moment is not kept in memory
            command = [sys.executable, "-m", "bench.many_studies", "--visit", str(store.root)]
            try:
                done = subprocess.run(
                    command,
                    cwd=PROJECT,
                    timeout=LIMIT_SECONDS,
                    text=True,
                    check=False,
                    stdout=subprocess.PIPE,
                )
                words = done.stdout.strip() or "an error"
            except subprocess.TimeoutExpired:
                words = f"not finished after {LIMIT_SECONDS} s"
        print(f"{studies:4} studies, {options.runs} runs each: {words}", flush=True)


if __name__ == "__main__":
    main()
