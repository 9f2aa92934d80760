"""The worker: drains a store's queue, one process per run, then ends.

It outlives the browser and the server. Each run's process is forked from a server that has
TensorFlow loaded already (a `forkserver`), holds the run's lock for its whole life, and writes
everything it says to the run's log.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
import traceback
from pathlib import Path

from tl_engine.errors import ThawError
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunState, RunStore
from tl_engine.work import missing_rates

LINGER_SECONDS = 60.0
"""How long an idle worker waits for more: its TensorFlow is loaded, the next run starts at once."""
NICENESS = 10


def drain(store: RunStore, linger: float = LINGER_SECONDS) -> None:
    """Train queued runs until none is left for `linger` seconds; returns at once where another
    worker does so already."""
    with store.worker_lock() as ours:
        if not ours:
            return
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tl_engine.learning.training"])
        deadline = time.monotonic() + linger
        while (run := store.next_queued()) or time.monotonic() < deadline:
            if run is None:
                time.sleep(0.2)
                continue
            process = context.Process(target=execute, args=(str(store.root), run.id))
            process.start()
            process.join()
            if run.is_queued:  # else it would be chosen again, for ever
                run.claim()
                sentence = f"Its process could not start (exit code {process.exitcode})."
                run.end(RunState.FAILED, sentence, 0.0)
            deadline = time.monotonic() + linger
    # A run that was queued between the last look and the lock's release found a worker alive.
    if store.next_queued():
        drain(store, linger)


def execute(root: str, run_id: str) -> None:
    """Train one run in this process, saying everything in its log."""
    store = RunStore(root)
    run = store.run(run_id)
    with store.slot(), run.hold() as ours:
        # Somebody may have stopped it, or another worker trained it, since it was chosen.
        if not ours or run.state is not RunState.RUNNING or not run.is_queued:
            return
        run.claim()
        _redirect_output(run)
        os.nice(NICENESS)
        began = time.perf_counter()
        state, sentence = attempt(run)
        run.end(state, sentence, time.perf_counter() - began)


def attempt(run: Run) -> tuple[RunState, str]:
    """Train the run; how it ended, and the sentence for people."""
    from tl_engine.learning.training import Stopped, train

    try:
        train(run)
    except Stopped:
        return RunState.STOPPED, "Stopped by request; what was trained is kept."
    except (ThawError, FloatingPointError) as error:
        print(error, flush=True)
        return RunState.FAILED, str(error)
    except Exception as error:
        traceback.print_exc()
        return RunState.FAILED, f"{type(error).__name__}: {error}"[:500] or type(error).__name__
    return RunState.FINISHED, "Every epoch is done."


def _redirect_output(run: Run) -> None:
    """Everything that this process says from now on, C++ included, goes to the run's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with run.open_log() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def main(runs_dir: Path, linger: float = LINGER_SECONDS) -> None:
    """Entry point of `python -m tl_engine worker`."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    drain(RunStore(runs_dir), linger)


def measure(store: RunStore, recipes: list[Recipe]) -> None:
    """Measure, in this process, every kind of step of the recipes that was never measured here;
    returns at once where another process measures."""
    began = time.perf_counter()
    with store.measuring() as ours:
        if not ours:
            return
        os.nice(NICENESS)
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        from tl_engine.learning.device import prepare_device
        from tl_engine.learning.measurement import measure as measure_phases

        prepare_device(os.cpu_count() or 1)
        for recipe in recipes:
            missing = missing_rates(recipe, store.measurements())
            if missing:
                for measurement in measure_phases(recipe, missing, began):
                    store.add_measurement(measurement)
