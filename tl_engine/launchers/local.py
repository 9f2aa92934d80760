"""Launch on this machine: one worker per store, started when there is something to train."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import IO

from tl_engine.runs import RunStore, StudyFolder
from tl_engine.study import Study

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
    store.run(run_id).enqueue()
    ensure_worker(store)


def ensure_worker(store: RunStore) -> None:
    """Start a worker where none lives and something is queued; it outlives this process."""
    if not store.worker_lives() and store.next_queued():
        with store.open_worker_log() as log:
            start("worker", "--runs-dir", str(store.root), log=log)


def start(*arguments: str, log: IO[bytes] | int = subprocess.DEVNULL) -> None:
    """Start `python -m tl_engine ...` in a session of its own."""
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
            env={**os.environ, "PYTHONPATH": path},
        )
    )
