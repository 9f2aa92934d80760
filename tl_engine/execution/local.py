"""Launch on this machine: one worker per store, started when there is something to train."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import psutil

from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunStore, StudyFolder
from tl_engine.runs.run_requests import enqueue
from tl_engine.study import Study

CLOCK_TICK = 0.02
"""Seconds by which two readings of one process's start may differ."""
PROJECT = Path(__file__).resolve().parents[2]
_children: list[subprocess.Popen[bytes]] = []


def launch(study: Study, store: RunStore) -> StudyFolder:
    """Queue a study's runs, make sure that a worker lives, and return at once."""
    folder = store.create(study)
    ensure_worker(store)
    return folder


def resume(run_id: str, store: RunStore) -> None:
    """Queue a run again that was stopped, failed or interrupted: it goes on from its last
    committed epoch.

    Raises:
        StoreError: for a run that is queued, running or finished.
    """
    enqueue(store.run(run_id))
    ensure_worker(store)


def ensure_worker(store: RunStore) -> None:
    """Start a worker where none lives and something waits; it outlives this process.

    The lock is taken here and handed over, so that of many who ask at the same moment one
    starts a worker, not each.
    """
    if store.worker_lives() or not store.next_waiting():
        return
    lock = store.take_worker_lock()
    if lock is None:
        return
    try:
        with store.open_worker_log() as log:
            words = ("--runs-dir", str(store.root), "--lock", str(lock))
            start("worker", *words, log=log, keep=(lock,))
    finally:
        os.close(lock)


def end_process(run: Run) -> None:
    """Kill the process that trains a run and does not answer; the run keeps what it committed.

    Raises:
        StoreError: where no process trains it, or it is not the one that said so: a number that
            now belongs to another program is left alone.
    """
    beat = run.heartbeat if run.state.is_alive else None
    try:
        if beat is None or beat.age is None:
            raise psutil.NoSuchProcess(0)
        process = psutil.Process(beat.pid)
        if abs(process.create_time() - beat.started) > CLOCK_TICK:
            raise psutil.NoSuchProcess(beat.pid)
        process.kill()
    except psutil.NoSuchProcess:
        raise StoreError(f"Run {run.id} cannot be ended: no process trains it.") from None


def start(
    *arguments: str, log: IO[bytes] | int = subprocess.DEVNULL, keep: Sequence[int] = ()
) -> None:
    """Start `python -m tl_engine ...` in a session of its own.

    Args:
        keep: descriptors that it inherits.
    """
    # Ended children are reaped here: Streamlit's server lives for weeks.
    _children[:] = [child for child in _children if child.poll() is None]
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(PROJECT), *([inherited] if inherited else [])])
    _children.append(
        subprocess.Popen(
            [sys.executable, "-m", "tl_engine", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=keep,
            env={**os.environ, "PYTHONPATH": path},
        )
    )
