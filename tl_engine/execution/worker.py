"""The worker: trains what waits in a store's queue, in processes that may die, then ends.

It outlives the browser and the server. A run's process is forked from a server that has
TensorFlow loaded already (a `forkserver`), holds the run's lease while it trains, and writes
everything that it prints to the run's log. The next run has the same process only where the last
one ended well and both train the same network: what was traced for the first serves the second.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tl_engine.errors import DamagedError, ThawError, sentence_about
from tl_engine.machine import quiet_tensorflow, work_in_background
from tl_engine.runs import ClaimedRun, GaveUp, Run, RunState, RunStore, Stopped
from tl_engine.runs.run_outputs import open_log
from tl_engine.storage.lease import hold

LINGER_SECONDS = 60.0
"""How long an idle worker waits for more: its TensorFlow is loaded, the next run starts at once."""
POLL_SECONDS = 0.2
AGAIN = b"again"
"""What a process sends that can train another run."""
OUT_OF_MEMORY = (
    "It ran out of memory: try a smaller batch, smaller images or a smaller backbone, or free "
    "memory and resume."
)


def drain(store: RunStore, linger: float = LINGER_SECONDS, handover: str = "") -> None:
    """Train waiting runs until none is left for `linger` seconds; returns at once where another
    worker does so already. A run whose process died goes on by itself, as often as ClaimedRun
    allows.

    Args:
        handover: of the worker's lease, which the process that started this one took.
    """
    with hold(store.worker_lease, handover=handover) as holding:
        if not holding:
            return
        store.sweep()
        _train_until_idle(store, linger)
    # A run that was queued between the last look and the lease's release found a worker alive.
    if store.next_waiting():
        drain(store, linger)


def _train_until_idle(store: RunStore, linger: float) -> None:
    deadline = time.monotonic() + linger
    with closing(_TrainingProcesses(store)) as processes:
        while (run := store.next_waiting()) or time.monotonic() < deadline:
            if run is None:
                time.sleep(POLL_SECONDS)
                continue
            _train(processes, run)
            deadline = time.monotonic() + linger


class _TrainingProcesses:
    """The process that trains, and a new one when that one is of no more use."""

    def __init__(self, store: RunStore) -> None:
        self._root = str(store.root)
        quiet_tensorflow()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tl_engine.learning.training"])
        self._living: tuple[ForkServerProcess, Connection] | None = None
        self._network: object = None

    def train(self, run: Run) -> int | None:
        """Train a run; None where its process lives on, otherwise its exit code."""
        network = run.recipe.network, run.threads
        if self._living is None or self._network != network:
            self.close()
            connection, of_process = self._context.Pipe()
            with of_process:
                process = self._context.Process(target=serve, args=(self._root, of_process))
                process.start()
            self._living, self._network = (process, connection), network
        process, connection = self._living
        try:
            connection.send_bytes(run.id.encode())
            if connection.recv_bytes() == AGAIN:
                return None
        except (EOFError, OSError):  # it died
            pass
        self.close()
        return process.exitcode

    def close(self) -> None:
        """Let the process end: it does when the connection is closed."""
        if self._living:
            process, connection = self._living
            connection.close()
            process.join()
        self._living = None


def _train(processes: _TrainingProcesses, run: Run) -> None:
    """Train a run in a process, and write how it ended where that process died and cannot."""
    killed, attempts = _out_of_memory_kills(), len(run.attempts())
    exit_code = processes.train(run)
    if not exit_code or not run.is_waiting:
        return
    if _out_of_memory_kills() > killed:
        _fail(run, OUT_OF_MEMORY)
    elif exit_code > 0 and len(run.attempts()) == attempts:  # else it would be chosen again
        _fail(run, f"Its process could not start (exit code {exit_code}).")


def _fail(run: Run, sentence: str) -> None:
    with run.hold() as holding:
        if holding:
            claimed = ClaimedRun(run, holding)
            claimed.end(RunState.FAILED, sentence, 0.0)
            claimed.leave_queue()


def _out_of_memory_kills() -> int:
    """Processes that Linux killed since it started because memory ran out; 0 elsewhere."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))


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
        # TensorFlow's own class cannot be named here without importing TensorFlow.
        is_memory = isinstance(error, MemoryError) or (
            type(error).__name__ == "ResourceExhaustedError"
        )
        return RunState.FAILED, OUT_OF_MEMORY if is_memory else sentence_about(error)
    return RunState.FINISHED, "Every epoch is done."


def _redirect_output(run: ClaimedRun) -> None:
    """Everything that this process prints from now on, C++ included, goes to the run's log."""
    sys.stdout.flush()
    sys.stderr.flush()
    with open_log(run) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
