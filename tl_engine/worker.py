"""The worker: drains a store's queue, one process per run, then ends.

It outlives the browser and the server. Each run's process is forked from a server that has
TensorFlow loaded already (a `forkserver`), holds the run's lock for its whole life, and writes
everything it says to the run's log.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.context import ForkServerContext
from pathlib import Path

from tl_engine.errors import DamagedError, ThawError
from tl_engine.recipe import Recipe
from tl_engine.runs import ClaimedRun, GaveUp, Run, RunState, RunStore, Stopped
from tl_engine.work import missing_rates

LINGER_SECONDS = 60.0
"""How long an idle worker waits for more: its TensorFlow is loaded, the next run starts at once."""
POLL_SECONDS = 0.2
NICENESS = 10
OUT_OF_MEMORY = (
    "It ran out of memory: try a smaller batch, smaller images or a smaller backbone, or free "
    "memory and resume."
)


def drain(store: RunStore, linger: float = LINGER_SECONDS, taken: int | None = None) -> None:
    """Train waiting runs until none is left for `linger` seconds; returns at once where another
    worker does so already. A run whose process died goes on by itself, as often as ClaimedRun
    allows."""
    with store.worker_lock(taken) as ours:
        if not ours:
            return
        store.sweep()
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tl_engine.learning.training"])
        deadline = time.monotonic() + linger
        while (run := store.next_waiting()) or time.monotonic() < deadline:
            if run is None:
                time.sleep(POLL_SECONDS)
                continue
            _train_in_a_process(context, run)
            deadline = time.monotonic() + linger
    # A run that was queued between the last look and the lock's release found a worker alive.
    if store.next_waiting():
        drain(store, linger)


def _train_in_a_process(context: ForkServerContext, run: Run) -> None:
    """Train a run in a process of its own, and say for it what a dead process cannot say."""
    killed, attempts = _out_of_memory_kills(), len(run.attempts())
    process = context.Process(target=execute, args=(str(run.study.path.parent), run.id))
    process.start()
    process.join()
    if process.exitcode == 0 or not run.is_waiting:
        return
    if _out_of_memory_kills() > killed:
        _end(run, OUT_OF_MEMORY)
    elif (process.exitcode or 0) > 0 and len(
        run.attempts()
    ) == attempts:  # else it would be chosen again
        _end(run, f"Its process could not start (exit code {process.exitcode}).")


def _end(run: Run, sentence: str) -> None:
    with run.hold() as ours:
        if ours:
            claimed = ClaimedRun(run)
            claimed.end(RunState.FAILED, sentence, 0.0)
            claimed.leave_queue()


def execute(root: str, run_id: str) -> None:
    """Train one run in this process, saying everything in its log."""
    store = RunStore(root)
    run = store.run(run_id)
    with store.slot(), run.hold() as ours:
        # Somebody may have stopped it, or another worker trained it, since it was chosen.
        if not ours or not run.waits():
            return
        claimed = ClaimedRun(run)
        with claimed.beating():
            _redirect_output(claimed)
            os.nice(NICENESS)
            began = time.perf_counter()
            state, sentence = attempt(claimed)
            if state is not RunState.INTERRUPTED:
                claimed.end(state, sentence, time.perf_counter() - began)


def attempt(run: ClaimedRun) -> tuple[RunState, str]:
    """Train the run; how it ended, and the sentence for people."""
    from tl_engine.learning.training import Ended, train

    try:
        run.begin()
        signal.signal(signal.SIGTERM, lambda number, frame: run.end_soon())
        train(run)
    except Ended:
        return RunState.INTERRUPTED, "Its process was asked to end."
    except Stopped:
        return RunState.STOPPED, "Stopped by request; what was trained is kept."
    except DamagedError as error:
        print(error, flush=True)
        return RunState.DAMAGED, f"{error} Restart begins again and keeps what is damaged aside."
    except (ThawError, FloatingPointError, GaveUp) as error:
        print(error, flush=True)
        return RunState.FAILED, str(error)
    except Exception as error:
        traceback.print_exc()
        return RunState.FAILED, _words(error)
    return RunState.FINISHED, "Every epoch is done."


def _words(error: Exception) -> str:
    """One sentence about an error that nobody foresaw."""
    # TensorFlow's own class for it cannot be named here without importing TensorFlow.
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return OUT_OF_MEMORY
    return f"{type(error).__name__}: {error}"[:500]


def _out_of_memory_kills() -> int:
    """Processes that Linux killed since it started because memory ran out; 0 elsewhere."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


def _redirect_output(run: ClaimedRun) -> None:
    """Everything that this process says from now on, C++ included, goes to the run's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with run.open_log() as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def main(runs_dir: Path, linger: float = LINGER_SECONDS, taken: int | None = None) -> None:
    """Entry point of `python -m tl_engine worker`.

    Args:
        taken: descriptor that holds the worker's lock already; see `launchers/local.py`.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    drain(RunStore(runs_dir), linger, taken)


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
