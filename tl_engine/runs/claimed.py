"""The writer of a run that is being trained: used by the one process that holds the run's lock."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.runs import checkpoint, phase_ends
from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.heartbeat import HeartbeatWriter
from tl_engine.runs.layout import CHECKPOINT, HISTORY, MEASUREMENTS, RESULT_FILES, records_in
from tl_engine.runs.phase_ends import PhaseEnd
from tl_engine.runs.run import Run
from tl_engine.runs.run_outputs import bytes_on_disk, write_model
from tl_engine.runs.run_state import RunState
from tl_engine.runs.summary import spent_before
from tl_engine.storage import atomic, reading, record_files
from tl_engine.storage.cache import Cache
from tl_engine.storage.lease import Holding

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE)
RETRY_SECONDS = 1.0
MAXIMUM_RESUMES = 5
"""How often a run whose process died continues by itself; Determined's default of max_restarts."""
MAXIMUM_FRUITLESS = 3
"""How many of its processes in a row may die without committing anything."""
SMALL = 2**20
"""Bytes that a write of neither arrays nor a model is assumed to need."""


class Stopped(Exception):  # noqa: N818 - a message to the worker, not an error
    """Somebody requested that the run stops."""


class GaveUp(Exception):  # noqa: N818 - likewise
    """The run's processes died too often for it to continue by itself; says how often."""


class ClaimedRun(Run):
    """A run whose lock this process holds, to be written.

    While the disk is full or refuses, writes wait and the heartbeat tells why: what is committed
    stays as it is, and the run continues when there is room.

    Attributes:
        is_ending: the trainer shall commit after its batch, and end; see `end_soon`.
    """

    def __init__(self, run: Run, holding: Holding | None = None) -> None:
        """A run whose lease this process holds; commits carry the token of the holding."""
        super().__init__(run.path, run.study)
        self._lease_token = holding.token if holding else ""
        self._heartbeat = HeartbeatWriter(run.path, self._spent_before())
        self._progress: dict[str, Any] = {}
        self.is_ending = False

    def beating(self) -> AbstractContextManager[None]:
        """Write heartbeats while the block runs."""
        return self._heartbeat.beating()

    def begin(self) -> None:
        """Leave the queue and note the attempt; write recipe.json where it is missing.

        Raises:
            GaveUp: where its processes died too often since somebody requested it.
            DamagedError: where its last commit is not what was written.
        """
        if not os.path.lexists(self.path / "recipe.json"):
            self._write(lambda: records_in(self.path).write("recipe.json", self.recipe_record))
        self._write(lambda: checkpoint.recover(self.records))
        epoch, step = checkpoint.position(self.records)
        if not self.is_queued:
            _check_attempts(self.attempts(), epoch, step)
        attempt = {"at": record_files.now(), "asked": self.is_queued, "epoch": epoch, "step": step}
        attempt["before"] = self._heartbeat.before
        self._write(lambda: self.records.append("attempts.jsonl", attempt))
        self.leave_queue()

    def leave_queue(self) -> None:
        """Remove the run from the queue."""
        self._write(lambda: atomic.remove(self.path / "queued"))

    def end_soon(self) -> None:
        """Let the trainer commit after its batch, and end."""
        self.is_ending = True

    def report(self, progress: dict[str, Any]) -> None:
        """Tell what the worker is doing; see `Heartbeat.progress`."""
        self._progress = progress
        self._heartbeat.report(progress)

    def record_environment(self, environment: dict[str, Any]) -> None:
        """Note the environment of this process, beside different ones of processes before it."""
        met = [] if checkpoint.position(self.records) == (0, 0) else self.environments
        if environment not in met:
            value = {"met": [*met, environment]}
            self._write(lambda: self.records.write("environment.json", value))

    def append_epoch(self, epoch: dict[str, Any]) -> None:
        """Append a history line."""
        self._write(lambda: self.records.append(HISTORY, epoch))

    def rewind_history(self, epoch: int) -> None:
        """Delete the history's lines after `epoch`, which were never committed."""
        committed = [line for line in self.epochs() if line["epoch"] <= epoch]
        self._write(lambda: self.records.rewrite(HISTORY, committed))

    def commit(self, state: Checkpoint) -> None:
        """Make this the state to continue from, and delete the one before."""
        arrays = [*state.model.values(), *state.optimizer.values()]
        size = sum(array.nbytes for array in arrays)
        self._write(lambda: checkpoint.commit(self.records, state, self._lease_token), size)

    def adopt(self, end: PhaseEnd) -> None:
        """Continue from the end of another run's phase: its history, marked as shared, and state.
        A process that dies in between leaves a run that has not begun."""
        lines = [
            {**line, "seconds": 0.0, "shared": line.get("shared", end.run)} for line in end.lines
        ]
        phases = [{**phase, "shared": phase.get("shared", end.run)} for phase in end.phases]
        self._write(lambda: self.records.rewrite(HISTORY, lines))
        state = (end.folder, len(lines), {"phases": phases}, end.files, self._lease_token)
        self._write(lambda: checkpoint.adopt(self.records, *state))

    def cache_phase_end(
        self, name: str, phases: list[dict[str, Any]], environment: dict[str, Any]
    ) -> None:
        """Cache the state of the last commit for other runs, where the disk has room."""
        files = self.records.read(CHECKPOINT)["files"]
        files.pop(checkpoint.OPTIMIZER, None)
        end = PhaseEnd(self.id, self.epochs(), phases, environment, files, self.path)
        with contextlib.suppress(OSError):
            phase_ends.put(self.cache, name, end)

    @property
    def cache(self) -> Cache:
        """What the runs of its store computed once and may need again."""
        return Cache(self.study.path.parent)

    def record_results(self, scores: dict[str, Any], probabilities: dict[str, np.ndarray]) -> None:
        """Write the scores and the per-image probabilities of a run that has trained all epochs."""
        path = self.path / "probabilities.npz"
        size = sum(array.nbytes for array in probabilities.values())
        self._write(lambda: atomic.write_arrays(path, probabilities), size)
        value = {**scores, "files": {path.name: reading.sha256_of(path)}}
        self._write(lambda: self.records.write("scores.json", value))

    def save_model(self, save: Callable[[Path], object]) -> None:
        """Write model.keras by `save(path)`."""
        self._write(lambda: write_model(self, save), bytes_on_disk(self))

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Note how long the run's steps took, for estimates."""
        store = records_in(self.study.path.parent)
        self._write(lambda: store.append(MEASUREMENTS, measurement))

    def end(self, state: RunState, sentence: str, seconds: float) -> None:
        """Write how it ended. The last write of all: nothing cleans up a run that is over."""
        if state is RunState.FINISHED:
            self._write(lambda: checkpoint.drop_optimizer(self.records))
        # Where the times can still be read after Resume has removed the outcome.
        self._heartbeat.report(self._progress)
        value: dict[str, Any] = {
            "state": state.value,
            "sentence": sentence,
            "ended": record_files.now(),
            "seconds": round(seconds, 3),
            "total_seconds": self._heartbeat.spent,
        }
        if state is RunState.FINISHED:
            paths = [path for name in RESULT_FILES if os.path.lexists(path := self.path / name)]
            value["files"] = {path.name: reading.sha256_of(path) for path in paths}
        self._write(lambda: self.records.write("outcome.json", value))

    def _spent_before(self) -> float | None:
        """Seconds of all processes before this one; None where that is unknown."""
        beat = self.heartbeat
        try:
            outcome = self.outcome
        except StoreError:
            outcome = {}
        return spent_before(outcome, beat.spent if beat else None, self.attempts())

    def _write(self, write: Callable[[], object], size: int = SMALL) -> None:
        """Write; wait for as long as the disk is full or refuses.

        Raises:
            Stopped: if somebody requests it meanwhile.
        """
        for attempt in itertools.count():
            try:
                write()
            except OSError as error:
                if error.errno not in FULL + REFUSED:
                    raise
                self._heartbeat.report({**self._progress, "paused": self._why(error, size)})
                if self.stop_requested:
                    raise Stopped from error
                time.sleep(RETRY_SECONDS)
            else:
                if attempt:
                    self._heartbeat.report(self._progress)
                return

    def _why(self, error: OSError, size: int) -> str:
        if error.errno in FULL:
            free = shutil.disk_usage(self.path).free / 1e6
            return f"Disk full: {max(size, SMALL) / 1e6:.0f} MB needed, {free:.0f} MB free."
        return f"The disk refuses to be written: {error.strerror}."


def _check_attempts(attempts: list[dict[str, Any]], epoch: int, step: int) -> None:
    """Raise GaveUp where too many processes died since somebody last requested the run; `epoch` and
    `step` are those of the last commit."""
    requested = [number for number, attempt in enumerate(attempts) if attempt["asked"]]
    attempts = attempts[max(requested, default=0) :]
    fruitless = attempts[-MAXIMUM_FRUITLESS:]
    if len(fruitless) == MAXIMUM_FRUITLESS and all(
        (attempt["epoch"], attempt["step"]) == (epoch, step) for attempt in fruitless
    ):
        raise GaveUp(
            f"Its process died {MAXIMUM_FRUITLESS} times in a row without getting any "
            "further. What it committed is kept; Resume tries again."
        )
    if len(attempts) > MAXIMUM_RESUMES:
        raise GaveUp(
            f"Its process died {len(attempts)} times; it goes on by itself at most "
            f"{MAXIMUM_RESUMES} times. What it committed is kept; Resume goes on from there."
        )
