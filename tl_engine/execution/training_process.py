"""The process that trains runs: it holds a run's lease while it trains, and writes everything that
it prints to the run's log."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection

from tl_engine.errors import DamagedError, ThawError
from tl_engine.execution.process import sentence_about, work_in_background
from tl_engine.runs import ClaimedRun, GaveUp, RunState, RunStore, Stopped
from tl_engine.runs.run_outputs import open_log
from tl_engine.storage.lease import hold

AGAIN = b"again"
"""What a process sends that can train another run."""
OUT_OF_MEMORY = (
    "It ran out of memory: try a smaller batch, smaller images or a smaller backbone, or free "
    "memory and resume."
)


def serve(root: str, connection: Connection) -> None:
    """Train one run after another, as the worker names them, until one does not end well."""
    work_in_background()
    with connection:
        while True:
            try:
                run_id = connection.recv_bytes().decode()
            except EOFError:  # the worker has no more use for it, or died
                return
            state = execute(root, run_id)
            connection.send_bytes(AGAIN if state is RunState.FINISHED else b"over")
            if state is not RunState.FINISHED:
                return


def execute(root: str, run_id: str) -> RunState | None:
    """Train one run in this process; how it ended, None where another process trains it or it
    no longer waits."""
    store = RunStore(root)
    run = store.run(run_id)
    with hold(store.training_lease, wait=True), run.hold() as holding:
        # Somebody may have stopped it, or another worker trained it, since it was chosen.
        if not holding or not run.observe(held_here=True).state.is_waiting:
            return None
        claimed = ClaimedRun(run, holding)
        with claimed.beating():
            _redirect_output(claimed)
            began = time.perf_counter()
            state, sentence = _attempt(claimed)
            if state is not RunState.INTERRUPTED:
                claimed.end(state, sentence, time.perf_counter() - began)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return state


def _attempt(run: ClaimedRun) -> tuple[RunState, str]:
    """Train the run; how it ended, and the sentence for people."""
    from tl_engine.learning.phase_training import Ended
    from tl_engine.learning.training import train

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
        return RunState.FAILED, OUT_OF_MEMORY if _is_memory(error) else sentence_about(error)
    return RunState.FINISHED, "Every epoch is done."


def _is_memory(error: Exception) -> bool:
    # TensorFlow's own class for it cannot be named here without importing TensorFlow.
    return isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError"


def _redirect_output(run: ClaimedRun) -> None:
    """Everything that this process prints from now on, C++ included, goes to the run's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open_log(run) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
