"""The worker: trains what waits in a store's queue, in processes that may die, then ends.

It outlives the browser and the server. A run's process is forked from a server that has
TensorFlow loaded already (a `forkserver`). The next run has the same process only where the last
one ended well and both train the same network: what was traced for the first serves the second.
"""

from __future__ import annotations

import multiprocessing
import time
from contextlib import closing
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tl_engine.execution.process import quiet_tensorflow
from tl_engine.execution.training_process import AGAIN, OUT_OF_MEMORY, serve
from tl_engine.runs import ClaimedRun, Run, RunState, RunStore
from tl_engine.storage.lease import hold

LINGER_SECONDS = 60.0
"""How long an idle worker waits for more: its TensorFlow is loaded, the next run starts at once."""
POLL_SECONDS = 0.2


def drain(store: RunStore, linger: float = LINGER_SECONDS, handover: str = "") -> None:
    """Train waiting runs until none is left for `linger` seconds; returns at once where another
    worker does so already. A run whose process died goes on by itself, as often as ClaimedRun
    allows.

    Args:
        handover: with which this process goes on with the worker's lease, which the process that
            started it took.
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
            self._living, self._network = self._start(), network
        process, connection = self._living
        try:
            connection.send_bytes(run.id.encode())
            if connection.recv_bytes() == AGAIN:
                return None
        except (EOFError, OSError):  # it died
            pass
        self.close()
        return process.exitcode

    def _start(self) -> tuple[ForkServerProcess, Connection]:
        connection, of_process = self._context.Pipe()
        with of_process:
            process = self._context.Process(target=serve, args=(self._root, of_process))
            process.start()
        return process, connection

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
