"""A store: the folder of all studies, the queue of their runs, and what they share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from tl_engine import machine
from tl_engine.errors import StoreError
from tl_engine.runs import phase_ends
from tl_engine.runs.creation import create_study
from tl_engine.runs.deletion import delete_study
from tl_engine.runs.layout import MEASUREMENTS
from tl_engine.runs.run import Run
from tl_engine.runs.shapes import records_in
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.runs.study_list import StudyList
from tl_engine.storage import atomic, reading
from tl_engine.storage.cache import Cache
from tl_engine.storage.lease import Lease
from tl_engine.storage.locks import lease_of
from tl_engine.study import Study


class RunStore(StudyList):
    """The folder of all studies."""

    def __init__(self, root: Path | str = "runs") -> None:
        super().__init__(root)
        atomic.make_folder(self.root)

    def create(self, study: Study, *, threads: int | None = None) -> StudyFolder:
        """Write a study with its runs, each queued.

        Args:
            threads: that TensorFlow may use; None means as many as there are cores.
        """
        return create_study(self.root, study, threads)

    def delete(self, study_id: str) -> None:
        """Delete a study with all its runs. What was computed and read of the test set is written
        down first, and still counts.

        Raises:
            StoreError: while one of its runs is running, or is evaluated.
        """
        delete_study(self.study(study_id))

    def next_waiting(self) -> Run | None:
        """The run to train next, queued or interrupted: oldest study first, in its order
        of training."""
        return next(self._waiting(), None)

    def _waiting(self) -> Iterator[Run]:
        for path in sorted(self.paths()):
            with contextlib.suppress(StoreError):  # listed as a study that cannot be read
                runs = [e.path for e in reading.names_in(path) if e.name.startswith("arm")]
                study = StudyFolder(path)
                if any(map(_may_wait, runs)) and study.is_readable:
                    yield from (run for run in study.runs_as_trained() if run.is_waiting)

    def sweep(self) -> None:
        """Remove temporary files of writers that died; for the worker, once."""
        atomic.sweep(self.root, live=True)

    @property
    def cache(self) -> Cache:
        """What was computed once and may be needed again."""
        return Cache(self.root)

    def cached_phase_ends(self) -> set[str]:
        """Names of the cached ends of phases that a machine like this one computed: those of
        others do not serve here."""
        here = machine.description().items()
        cached = phase_ends.environments(self.cache)
        return {name for name, environment in cached if here <= environment.items()}

    # What several processes share.

    @property
    def worker_lease(self) -> Lease:
        """Held by the one worker that drains this store's queue."""
        return lease_of(self.root / "worker.lock")

    @property
    def training_lease(self) -> Lease:
        """Held by the one process that trains or evaluates."""
        return lease_of(self.root / "slot.lock")

    @property
    def measurement_lease(self) -> Lease:
        """Held by the one process that measures how long steps take."""
        return lease_of(self.root / "measure.lock")

    def open_worker_log(self) -> IO[bytes]:
        """Standard output and error of workers, to append to."""
        return atomic.open_log(self.root / "worker.txt")

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Note how long steps took on this machine; see `shapes.Measurement`."""
        records_in(self.root).append(MEASUREMENTS, measurement)

    def measurements(self) -> list[dict[str, Any]]:
        """All measurements, oldest first; damaged lines are left out: nothing depends on them."""
        return records_in(self.root).readable_lines(MEASUREMENTS)


def _may_wait(run: str) -> bool:
    return not os.path.lexists(f"{run}/outcome.json") or os.path.lexists(f"{run}/queued")
