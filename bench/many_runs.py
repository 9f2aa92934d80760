"""A store of 10,000 runs, one in a hundred of them damaged: how long do a list and its page take?

python -m bench.many_runs [--runs 10000]
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.painted import seen
from tests.server import PROJECT, browser, server
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import (
    Checkpoint,
    ClaimedRun,
    Run,
    RunState,
    RunStore,
    StudyFolder,
    epoch_line,
    summarise,
)
from tl_engine.study import Study, name_arms, with_reversed

RUNS_PER_STUDY = 20
EPOCHS = 6
VISITS = 5


def fill(store: RunStore, runs: int, epochs: int = EPOCHS) -> None:
    """Write finished runs as the engine writes them, without waiting for the disk each time; each
    study asks of recipes of its own."""
    for number in range(-(-runs // RUNS_PER_STUDY)):
        rate = 1e-5 * (1 + number / 1000)
        recipe = Recipe((Phase("all", 2, rate), Phase("head", epochs - 2, 1e-3)))
        arms = name_arms(with_reversed([recipe]))
        finish_all(store.create(Study(f"Study {number}", arms, RUNS_PER_STUDY // 2)))


def finish_all(folder: StudyFolder) -> list[Run]:
    """Write the runs of a study to their ends."""
    os.fsync = lambda fd: None  # the filling is not what is measured
    for run in folder.runs():
        _finish(ClaimedRun(run))
    return folder.runs()


def damage(runs: Iterator[Run]) -> int:
    """Flip a bit in the history of every hundredth run; how many."""
    victims = [run for number, run in enumerate(runs) if number % 100 == 0]
    for run in victims:
        path = run.path / "history.jsonl"
        text = bytearray(path.read_bytes())
        text[len(text) // 2] ^= 1
        path.write_bytes(text)
    return len(victims)


def _finish(run: ClaimedRun) -> None:
    run.begin()
    epochs = run.recipe.total_epochs
    for epoch in range(1, epochs + 1):
        index, phase = run.recipe.phase_at(epoch)
        measured = {"seconds": 10.0, "images": 1000, "running_loss": 1.0, "loss": 1.0}
        measured |= {"accuracy": 0.7, "val_loss": 1.0}
        measured["val_accuracy"] = 0.5 + 0.3 * epoch / epochs + 0.001 * (hash(run.id) % 9)
        run.append_epoch(epoch_line(epoch, index, phase, measured))
    arrays = {"0000": np.zeros(4, "float32")}
    run.commit(Checkpoint(epochs, 0, arrays, arrays, {}))
    counts = np.eye(10, dtype=int).tolist()
    splits = {name: {"correct": 7, "total": 10, "confusion": counts} for name in ("validation",)}
    run.record_results({"splits": splits, "phases": []}, arrays)
    run.end(RunState.FINISHED, "Every epoch is done.", 60.0)


def _listing(store: RunStore) -> tuple[float, int]:
    began = time.perf_counter()
    states = [summarise(run).state for run in store.runs()]
    return time.perf_counter() - began, states.count(RunState.DAMAGED)


def _visits(store: RunStore) -> tuple[list[float], list[float]]:
    """Seconds until an empty Streamlit page and Overview's list are painted in a cold browser,
    in turn, by servers that have shown them before."""
    empties, overviews = [], []
    with (
        server(store.root) as (address, _),
        server(store.root, PROJECT / "bench" / "empty.py") as (empty, _),
        browser() as chromium,
    ):
        for _ in range(1 + VISITS):
            empties.append(seen(chromium, empty, "[data-testid=stMarkdown]"))
            overviews.append(seen(chromium, address, "[data-testid=stDataFrame] canvas"))
    return empties[1:], overviews[1:]


def main() -> None:
    """Fill, damage, list twice in one process, as the server does."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        fill(store, options.runs)
        broken = damage(store.runs())
        time.sleep(2.5)  # what changed this moment is not kept
        first, found = _listing(store)
        again = sorted(_listing(store)[0] for _ in range(5))
        began = time.perf_counter()
        waiting = store.next_waiting()
        poll = time.perf_counter() - began
        empty, overview = map(statistics.median, _visits(store))
    print(f"{options.runs:,} runs, {broken} damaged, {found} found damaged")
    print(f"first listing {first:.2f} s, then {again[2]:.2f} s (slowest {again[-1]:.2f} s)")
    print(f"the worker's look for the next run {poll:.2f} s ({waiting})")
    print(f"Overview's list painted after {overview:.2f} s, an empty page after {empty:.2f} s")


if __name__ == "__main__":
    main()
