"""An evaluation of one study: which runs were measured, and the process that measures them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import Any

from tl_engine.errors import DamagedError
from tl_engine.runs import heartbeat
from tl_engine.runs.evaluation_results import Evaluation, result_of
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.runs.summary import summarise
from tl_engine.storage import atomic, locks

DIED = "The process that measured them died; what it had measured is kept."


class StudyEvaluation:
    """One kind of evaluation of one study; at most one process measures at a time.

    Attributes:
        study, kind: whose runs are measured, and on what.
    """

    def __init__(self, study: StudyFolder, kind: Evaluation) -> None:
        self.study, self.kind = study, kind
        self._folder = study.path / kind
        self._heartbeat = heartbeat.HeartbeatWriter(self._folder)

    def missing(self, runs: Iterable[Run]) -> list[Run]:
        """The finished ones of these runs that have no sound result yet."""
        finished = (run for run in runs if summarise(run).state is RunState.FINISHED)
        return [run for run in finished if not self._has_sound_result(run)]

    def _has_sound_result(self, run: Run) -> bool:
        try:
            return result_of(run, self.kind) is not None
        except DamagedError:  # it is measured again
            return False

    @property
    def is_alive(self) -> bool:
        """Whether a living process measures, or waits for its turn."""
        return locks.is_held(self._folder / "lock")

    @property
    def progress(self) -> dict[str, Any]:
        """Where its process is: stage, run, runs, fraction, seconds_left; or how the last one
        ended, as `ended`."""
        beat = heartbeat.read(self._folder)
        progress = beat.progress if beat else {}
        if not progress or self.is_alive:
            return progress
        return {"ended": progress.get("ended", DIED)}

    def request_stop(self) -> None:
        """Request that its process stops after its batch."""
        atomic.touch(self._folder / "stop")

    @property
    def stop_requested(self) -> bool:
        """Whether somebody requested that its process stops."""
        return os.path.exists(self._folder / "stop")

    # What its process does.

    def take(self) -> int | None:
        """Take its lock for a process that is about to be started; None where one lives."""
        atomic.make_folder(self._folder)
        descriptor = locks.take(self._folder / "lock")
        if descriptor is not None:
            atomic.remove(self._folder / "stop")
        return descriptor

    @contextlib.contextmanager
    def hold(self, taken: int | None = None) -> Iterator[bool]:
        """Held by the one process that measures; gives False where another one does.

        Args:
            taken: the descriptor with which it holds the lock already.
        """
        descriptor = self.take() if taken is None else taken
        if descriptor is None:
            yield False
            return
        with locks.adopt(descriptor), self._heartbeat.beating():
            yield True

    def report(self, progress: dict[str, Any]) -> None:
        """Tell where its process is, or how it ended."""
        self._heartbeat.report(progress)
