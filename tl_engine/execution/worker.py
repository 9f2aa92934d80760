"""The worker: drains a store's queue in processes that it can lose, then ends.

It outlives the browser and the server. A run's process is forked from a server that has
TensorFlow loaded already (a `forkserver`), holds the run's lock while it trains, and writes
everything it says to the run's log. The next run has the same process only where the last one
ended well and both train the same network: what was traced for the one serves the other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tl_engine.errors import DamagedError, ThawError
from tl_engine.execution.cost import missing_rates
from tl_engine.recipe import Recipe
from tl_engine.runs import ClaimedRun, GaveUp, Run, RunState, RunStore, Stopped
from tl_engine.runs.run_outputs import open_log

LINGER_SECONDS = 60.0
"""How long an idle worker waits for more: its TensorFlow is loaded, the next run starts at once."""
POLL_SECONDS = 0.2
NICENESS = 10
AGAIN = b"again"
"""What a process answers that can train another run."""
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
        deadline = time.monotonic() + linger
        with _Processes(store) as processes:
            while (run := store.next_waiting()) or time.monotonic() < deadline:
                if run is None:
                    time.sleep(POLL_SECONDS)
                    continue
                _train(processes, run)
                deadline = time.monotonic() + linger
    # A run that was queued between the last look and the lock's release found a worker alive.
    if store.next_waiting():
        drain(store, linger)


class _Processes:
    """The process that trains, and the next one when that one is of no more use."""

    def __init__(self, store: RunStore) -> None:
        self._root = str(store.root)
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tl_engine.learning.training"])
        self._living: tuple[ForkServerProcess, Connection] | None = None
        self._trains: object = None

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def train(self, run: Run) -> int | None:
        """Train a run; None where its process lives on, else how it ended."""
        wanted = run.recipe.network, run.threads
        if self._living is None or self._trains != wanted:
            self._close()
            self._living, self._trains = self._start(), wanted
        process, connection = self._living
        try:
            connection.send_bytes(run.id.encode())
            if connection.recv_bytes() == AGAIN:
                return None
        except (EOFError, OSError):  # it died
            pass
        self._close()
        return process.exitcode

    def _start(self) -> tuple[ForkServerProcess, Connection]:
        ours, theirs = self._context.Pipe()
        with theirs:
            process = self._context.Process(target=serve, args=(self._root, theirs))
            process.start()
        return process, ours

    def _close(self) -> None:
        """Let the process end: it does when it hears that nobody names another run."""
        if self._living:
            process, connection = self._living
            connection.close()
            process.join()
        self._living = None


def _train(processes: _Processes, run: Run) -> None:
    """Train a run in a process, and say for it what a dead process cannot say."""
    killed, attempts = _out_of_memory_kills(), len(run.attempts())
    exit_code = processes.train(run)
    if not exit_code or not run.is_waiting:
        return
    if _out_of_memory_kills() > killed:
        _end(run, OUT_OF_MEMORY)
    elif exit_code > 0 and len(run.attempts()) == attempts:  # else it would be chosen again
        _end(run, f"Its process could not start (exit code {exit_code}).")


def serve(root: str, connection: Connection) -> None:
    """Train one run after another, as the worker names them, until one does not end well."""
    os.nice(NICENESS)
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


def _end(run: Run, sentence: str) -> None:
    with run.hold() as ours:
        if ours:
            claimed = ClaimedRun(run)
            claimed.end(RunState.FAILED, sentence, 0.0)
            claimed.leave_queue()


def execute(root: str, run_id: str) -> RunState | None:
    """Train one run in this process, saying everything in its log; how it ended, None where
    somebody else has it."""
    store = RunStore(root)
    run = store.run(run_id)
    with store.slot(), run.hold() as ours:
        # Somebody may have stopped it, or another worker trained it, since it was chosen.
        if not ours or not run.observe(held_here=True).state.is_waiting:
            return None
        claimed = ClaimedRun(run)
        with claimed.beating():
            _redirect_output(claimed)
            began = time.perf_counter()
            state, sentence = attempt(claimed)
            if state is not RunState.INTERRUPTED:
                claimed.end(state, sentence, time.perf_counter() - began)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    return state


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
    with open_log(run) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)


def main(runs_dir: Path, linger: float = LINGER_SECONDS, taken: int | None = None) -> None:
    """Entry point of `python -m tl_engine worker`.

    Args:
        taken: descriptor that holds the worker's lock already; see `local.py`.
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
        from tl_engine.learning.timing import measure as measure_phases

        prepare_device(os.cpu_count() or 1)
        for recipe in recipes:
            missing = missing_rates(recipe, store.measurements())
            if missing:
                for measurement in measure_phases(recipe, missing, began):
                    store.add_measurement(measurement)
