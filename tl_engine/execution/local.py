"""The launcher of this machine: processes that outlive the one that starts them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO

import psutil

from tl_engine.errors import StoreError
from tl_engine.machine import PARENT
from tl_engine.runs import Run, RunStore
from tl_engine.storage.lease import Holding, is_held

CLOCK_TICK = 0.02
"""Seconds by which two readings of one process's start may differ."""


class LocalLauncher:
    """A `Launcher` that starts processes here, one worker for each store."""

    def __init__(self) -> None:
        self._children: list[subprocess.Popen[bytes]] = []

    def start(
        self, store: RunStore, command: str, *arguments: str, holding: Holding | None = None
    ) -> None:
        words = [command, "--runs-dir", str(store.root), *arguments]
        if holding is None:
            self._start(words, subprocess.DEVNULL)
            return
        with holding, store.open_worker_log() as log:
            self._start([*words, "--lease", holding.handover], log, holding.descriptors)

    def ensure_worker(self, store: RunStore) -> None:
        if is_held(store.worker_lease) or not store.next_waiting():
            return
        # Handed over, so that of many who come at the same moment one starts a worker, not each.
        if holding := store.worker_lease.take():
            self.start(store, "worker", holding=holding)

    def end_process(self, run: Run) -> None:
        heartbeat = run.heartbeat if run.state.is_alive else None
        with contextlib.suppress(psutil.NoSuchProcess):
            if heartbeat and heartbeat.age is not None:
                process = psutil.Process(heartbeat.pid)
                # Else its number belongs to another program now.
                if abs(process.create_time() - heartbeat.started) <= CLOCK_TICK:
                    process.kill()
                    return
        raise StoreError(f"Run {run.id} cannot be ended: no process trains it.")

    def _start(
        self, words: Sequence[str], log: IO[bytes] | int, inherited: Sequence[int] = ()
    ) -> None:
        # Ended children are reaped here: Streamlit's server lives for weeks.
        self._children[:] = [child for child in self._children if child.poll() is None]
        path = [str(PARENT), os.environ.get("PYTHONPATH", "")]
        child = subprocess.Popen(
            [sys.executable, "-m", "tl_engine", *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=inherited,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        )
        self._children.append(child)
