"""Evaluations: what finished runs are measured on after training, and the process that measures.

Training measures a run on its validation images and on nothing else.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

import numpy as np

from tl_engine.errors import DamagedError
from tl_engine.runs import heartbeat
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.studies import StudyFolder
from tl_engine.runs.summary import summarise
from tl_engine.storage import atomic, reading
from tl_engine.storage.lease import Holding, is_held
from tl_engine.storage.locks import lease_of

Observer = Callable[[dict[str, Any]], object]
DIED = "The process that measured them died; what it had measured is kept."


class Evaluation(StrEnum):
    """What finished runs are measured on.

    TEST: the test split, which is locked until somebody opens it. ROBUSTNESS: validation images,
    corrupted.
    """

    TEST = "test"
    ROBUSTNESS = "robustness"


def write_result(
    run: Run,
    kind: Evaluation,
    value: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a run's result, whole or not at all: the arrays first, then the JSON file that names
    them; OSError where the disk is full or refuses. The caller holds the evaluation's lock."""
    files = {}
    if arrays:
        path = run.path / f"{kind}.npz"
        atomic.write_arrays(path, arrays)
        files = {"files": {path.name: reading.sha256_of(path)}}
    run.records.write(f"{kind}.json", {**value, **files})


def has_result(run: Run, kind: Evaluation) -> bool:
    """Whether the run was measured, even if the result is damaged now."""
    return os.path.lexists(run.path / f"{kind}.json")


def result_of(run: Run, kind: Evaluation) -> dict[str, Any] | None:
    """A run's result; None where it was not measured. Of the test split: counts, loss, accuracy and
    confusion; of robustness: counts of right answers for each corruption.

    Raises:
        DamagedError: where it is not what was written.
    """
    return run.records.read(f"{kind}.json") if has_result(run, kind) else None


def result_arrays(run: Run, kind: Evaluation) -> dict[str, np.ndarray]:
    """The arrays of a run's result, empty where it was not measured; errors as those of
    `result_of`. Of the test split: `probabilities` (n, classes) float16, `labels` and `indices`
    (n,)."""
    arrays: dict[str, np.ndarray] = {}
    for name, sha256 in (result_of(run, kind) or {}).get("files", {}).items():
        arrays |= reading.read_arrays(run.path / name, sha256)
    return arrays


class StudyEvaluation:
    """One kind of evaluation of one study; at most one process measures at a time.

    Attributes:
        study, kind: whose runs are measured, and on what.
    """

    def __init__(
        self, study: StudyFolder, kind: Evaluation, observer: Observer | None = None
    ) -> None:
        """An evaluation whose process calls `observer` with each report of progress."""
        self.study, self.kind, self._observer = study, kind, observer
        self._folder = study.path / kind
        self._lease = lease_of(self._folder / "lock")
        self._heartbeat = heartbeat.HeartbeatWriter(self._folder)

    def missing(self, runs: Iterable[Run]) -> list[Run]:
        """The finished ones of these runs that have no sound result yet."""
        finished = [run for run in runs if summarise(run).state is RunState.FINISHED]
        measured = set()
        for run in finished:
            with contextlib.suppress(DamagedError):  # it is measured again
                if result_of(run, self.kind):
                    measured.add(run.id)
        return [run for run in finished if run.id not in measured]

    @property
    def is_alive(self) -> bool:
        """Whether a living process measures, or waits for its turn."""
        return is_held(self._lease)

    @property
    def progress(self) -> dict[str, Any]:
        """Where its process is: stage, run, runs, fraction, seconds_left; or how the last one
        ended, as `ended`."""
        beat = heartbeat.read(self._folder)
        if not beat or not beat.progress or self.is_alive:
            return beat.progress if beat else {}
        return {"ended": beat.progress.get("ended", DIED)}

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
        """Held by the one process that measures; gives None where another one does. With a
        `handover` it goes on with the holding of the process that started it."""
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
