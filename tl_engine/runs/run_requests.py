"""What people request of a run: to stop, or to be trained again."""

from __future__ import annotations

import os

from tl_engine.errors import DamagedError, StoreError
from tl_engine.runs.layout import CHECKPOINT, QUARANTINE, REMAINING_FILES
from tl_engine.runs.run import Run, missing
from tl_engine.runs.run_state import RunState
from tl_engine.storage import atomic


def request_stop(run: Run) -> None:
    """Request that the worker stops the run at its next batch; a run that no process trains is
    stopped at once.

    Raises:
        StoreError: for a run that is over.
    """
    state = run.state
    if state.is_over:
        raise StoreError(f"Run {run.id} cannot be stopped: it is {state.value} already.")
    _mark(run, "stop")
    with run.hold() as is_held:
        if is_held:  # else its process sees the request before its next batch
            atomic.remove(run.path / "queued")


def enqueue(run: Run) -> None:
    """Put the run into the queue: it continues from its last commit. A damaged run begins again,
    and its files are set aside in its folder quarantine/.

    Raises:
        StoreError: for a run that is queued, running or finished.
    """
    with run.hold() as is_held:
        state = run.observe(held_here=True).state if is_held else RunState.RUNNING
        if not state.is_resumable:
            raise StoreError(f"Run {run.id} cannot be resumed: it is {state.value}.")
        _ = run.recipe  # where that is damaged, nothing can begin again
        _mark(run, "queued")  # first of all: a full disk refuses it and changes nothing
        if state is RunState.DAMAGED:
            _set_aside(run)
        atomic.remove(run.path / "stop")
        atomic.remove(run.path / "outcome.json")


def _mark(run: Run, name: str) -> None:
    try:
        atomic.touch(run.path / name)
    except FileNotFoundError:
        raise missing(run) from None
    except atomic.NoFileError as error:
        raise DamagedError(run.path / name, error.what) from error


def _set_aside(run: Run) -> None:
    """Move the files that its processes wrote into quarantine/; the caller holds the lock."""
    quarantine = run.path / QUARANTINE
    if os.path.lexists(quarantine) and not quarantine.is_dir():
        raise DamagedError(quarantine, "it is not a folder")
    # The manifest last: a run without it would look new if this process died in between.
    for path in sorted(run.path.iterdir(), key=lambda path: path.name == CHECKPOINT):
        remains = path.name in REMAINING_FILES and path.is_file()
        if not remains and path.name != QUARANTINE:
            atomic.set_aside(path, quarantine)
