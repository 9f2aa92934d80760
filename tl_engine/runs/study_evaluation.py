"""An evaluation of one study: which runs were measured, and the process that measures them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from tl_engine.errors import DamagedError
from tl_engine.runs import heartbeat
from tl_engine.runs.evaluation_results import Evaluation, result_of
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.runs.summary import summarise
from tl_engine.storage import atomic
from tl_engine.storage.lease import Holding, is_held
from tl_engine.storage.locks import lease_of

Observer = Callable[[dict[str, Any]], object]
DIED = "The process that measured them died; what it had measured is kept."


class StudyEvaluation:
    """One kind of evaluation of one study; at most one process measures at a time.

    Attributes:
        study, kind: whose runs are measured, and on what.
    """

    def __init__(
        self, study: StudyFolder, kind: Evaluation, observer: Observer | None = None
    ) -> None:
        """
        Args:
            observer: called with each report of progress.
        """
        self.study, self.kind, self._observer = study, kind, observer
        self._folder = study.path / kind
        self._lease = lease_of(self._folder / "lock")
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
        return is_held(self._lease)

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

    def take(self) -> Holding | None:
        """Take its lease for a process that is about to be started; None where one lives."""
        atomic.make_folder(self._folder)
        holding = self._lease.take()
        if holding:
            atomic.remove(self._folder / "stop")
        return holding

    @contextlib.contextmanager
    def hold(self, handover: str = "") -> Iterator[Holding | None]:
        """Held by the one process that measures; gives None where another one does.

        Args:
            handover: with which it goes on with the holding of the process that started it.
        """
        holding = self._lease.adopt(handover) if handover else self.take()
        if holding is None:
            yield None
            return
        with holding, self._heartbeat.beating():
            yield holding

    def report(self, progress: dict[str, Any]) -> None:
        """Tell where its process is, or how it ended."""
        self._heartbeat.report(progress)
        if self._observer:
            self._observer(progress)
