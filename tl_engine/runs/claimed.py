"""A run in the hands of the one process that trains it: everything that process writes."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.runs import checkpoint, phase_ends, timings
from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.heartbeat import HeartbeatWriter
from tl_engine.runs.phase_ends import PhaseEnd
from tl_engine.runs.run import LEFT, Run, RunState
from tl_engine.runs.times import spent_before
from tl_engine.storage import atomic, record_files
from tl_engine.storage.cache import Cache
from tl_engine.storage.holder import Holding

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSED = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EMFILE, errno.ENFILE)
RETRY_SECONDS = 1.0
MAXIMUM_RESUMES = 5
"""How often a run that died goes on by itself; Determined's default of max_restarts."""
MAXIMUM_FRUITLESS = 3
"""How many of its processes in a row may die without committing anything."""
SMALL = 2**20
"""Bytes that a write other than a checkpoint is said to need."""


class Stopped(Exception):  # noqa: N818 - a message to the worker, not an error
    """Somebody asked the run to stop."""


class GaveUp(Exception):  # noqa: N818 - likewise
    """The run died too often to go on by itself; says how."""


class ClaimedRun(Run):
    """A run whose lock this process holds.

    Writes wait for as long as the disk is full or refuses them, and the heartbeat says so: what is
    committed already stays as it is, and the run goes on when there is room.
    """

    def __init__(self, run: Run, holding: Holding | None = None) -> None:
        """
        Args:
            holding: of the run's lease; commits carry its token.
        """
        super().__init__(run.path, run.study)
        self._lease_token = holding.token if holding else ""
        self._before = self._spent_before()
        self._heartbeat = HeartbeatWriter(run.path, self._before)
        self._said: dict[str, Any] = {}
        self.is_ending = False

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Give signs of life for as long as the block runs."""
        with self._heartbeat.beating():
            yield

    def begin(self) -> None:
        """Leave the queue and note the attempt; write down what it is asked where that is gone.

        Raises:
            GaveUp: where the run died too often without anybody asking for it again.
            DamagedError: where what it would go on from is not what was written.
        """
        if not os.path.lexists(self.path / "recipe.json"):
            self._keep(lambda: record_files.write_json(self.path / "recipe.json", self.asked))
        self._keep(lambda: checkpoint.recover(self.records))
        epoch, step = checkpoint.position(self.records)
        attempts = [] if self.is_queued else self.attempts_since_asked()
        self._check_patience(attempts, epoch, step)
        attempt = {"at": record_files.now(), "asked": self.is_queued, "epoch": epoch, "step": step}
        attempt["before"] = self._before
        self._keep(lambda: self.records.append("attempts.jsonl", attempt))
        self.leave_queue()

    def leave_queue(self) -> None:
        """Take the run's mark out of the queue."""
        self._keep(lambda: atomic.remove(self.path / "queued"))

    def end_soon(self) -> None:
        """Ask the trainer to commit what it has after its batch, and to end."""
        self.is_ending = True

    def report(self, progress: dict[str, Any]) -> None:
        """Say where the worker is."""
        self._said = progress
        self._heartbeat.say(progress)

    def record_environment(self, environment: dict[str, Any]) -> None:
        """Note what this process met; what others met before it is kept where it differs."""
        begins = checkpoint.position(self.records) == (0, 0)
        met = [] if begins else self.environments
        if environment not in met:
            value = {"met": [*met, environment]}
            self._keep(lambda: self.records.write("environment.json", value))

    def append_epoch(self, epoch: dict[str, Any]) -> None:
        """Append a history line."""
        self._keep(lambda: self.records.append("history.jsonl", epoch))

    def rewind_history(self, epoch: int) -> None:
        """Drop history lines after `epoch`: they were never committed."""
        kept = [line for line in self.epochs() if line["epoch"] <= epoch]
        self._keep(lambda: self.records.rewrite("history.jsonl", kept))

    def commit(self, state: Checkpoint) -> None:
        """Make this the state to go on from, and drop the one before."""
        arrays = [*state.model.values(), *state.optimizer.values()]
        size = sum(array.nbytes for array in arrays)
        self._keep(lambda: checkpoint.commit(self.records, state, self._lease_token), size)

    def adopt(self, end: PhaseEnd) -> None:
        """Go on from where another run's phase ended: its history, marked as shared, and its
        state. Whoever dies in between leaves a run that has not begun."""
        lines = [
            {**line, "seconds": 0.0, "shared": line.get("shared", end.run)} for line in end.lines
        ]
        phases = [{**phase, "shared": phase.get("shared", end.run)} for phase in end.phases]
        self._keep(lambda: self.records.rewrite("history.jsonl", lines))
        state = (end.folder, len(lines), {"phases": phases}, end.files, self._lease_token)
        self._keep(lambda: checkpoint.adopt(self.records, *state))

    def keep_phase_end(
        self, name: str, phases: list[dict[str, Any]], environment: dict[str, Any]
    ) -> None:
        """Keep the state of the last commit for other runs; a disk that is full has none."""
        known = {"lines": self.epochs(), "phases": phases, "environment": environment}
        with contextlib.suppress(OSError):
            phase_ends.keep(self.cache, name, phase_ends.of_run(self.records, self.id, **known))

    @property
    def cache(self) -> Cache:
        """What runs of its store computed once and may need again."""
        return Cache(self.study.path.parent)

    def record_results(self, scores: dict[str, Any], probabilities: dict[str, np.ndarray]) -> None:
        """Keep the scores and the per-image probabilities of a run that is done."""
        path = self.path / "probabilities.npz"
        size = sum(array.nbytes for array in probabilities.values())
        self._keep(lambda: atomic.write_arrays(path, probabilities), size)
        value = {**scores, "files": {path.name: record_files.sha256_of(path)}}
        self._keep(lambda: self.records.write("scores.json", value))

    def save_model(self, save: Callable[[Path], object], suffix: str = "keras") -> None:
        """Keep model.keras or model.h5, written by `save(path)`."""
        path = self.path / f"model.{suffix}"
        self._keep(lambda: atomic.write_through(path, save), self.bytes_on_disk())

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Keep how long the run's steps took, for estimates."""
        self._keep(lambda: timings.add(self.study.path.parent, measurement))

    def end(self, state: RunState, sentence: str, seconds: float) -> None:
        """Write how it ended; last of all, since nobody tidies a run that is over."""
        if state is RunState.FINISHED:
            self._keep(lambda: checkpoint.drop_optimizer(self.records))
        self._heartbeat.say(self._said)  # what it took outlasts the outcome, which Resume removes
        value: dict[str, Any] = {
            "state": state.value,
            "sentence": sentence,
            "ended": record_files.now(),
            "seconds": round(seconds, 3),
            "total_seconds": self._heartbeat.spent,
        }
        if state is RunState.FINISHED:
            left = [self.path / name for name in LEFT if os.path.lexists(self.path / name)]
            value["files"] = {path.name: record_files.sha256_of(path) for path in left}
        self._keep(lambda: self.records.write("outcome.json", value))

    def open_log(self) -> IO[bytes]:
        """The log, to append to."""
        return atomic.open_log(self.path / "log.txt")

    def _spent_before(self) -> float | None:
        """Seconds that processes before this one took; None where that is unknown."""
        beat = self.heartbeat
        try:
            outcome = self.outcome
        except StoreError:
            outcome = {}
        return spent_before(outcome, beat.spent if beat else None, self.attempts())

    def _check_patience(self, attempts: list[dict[str, Any]], epoch: int, step: int) -> None:
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

    def _keep(self, write: Callable[[], object], size: int = SMALL) -> None:
        """Write; wait for as long as the disk is full or refuses.

        Raises:
            Stopped: if somebody asks for it meanwhile.
        """
        waited = False
        while True:
            try:
                write()
            except OSError as error:
                if error.errno not in FULL + REFUSED:
                    raise
                self._heartbeat.say({**self._said, "paused": self._why(error, size)})
                if self.stop_requested:
                    raise Stopped from error
                waited = True
                time.sleep(RETRY_SECONDS)
            else:
                if waited:
                    self._heartbeat.say(self._said)
                return

    def _why(self, error: OSError, size: int) -> str:
        if error.errno in FULL:
            free = shutil.disk_usage(self.path).free / 1e6
            return f"Disk full: {max(size, SMALL) / 1e6:.0f} MB needed, {free:.0f} MB free."
        return f"The disk refuses to be written: {error.strerror}."
