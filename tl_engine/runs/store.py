"""The folder of all studies, and the queue of their runs."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import IO, Any

from tl_engine import machine
from tl_engine.errors import StoreError
from tl_engine.runs import ledger, timings
from tl_engine.runs.evaluation_results import Evaluation
from tl_engine.runs.evidence import Evidence, recipe_id
from tl_engine.runs.phase_ends import KIND
from tl_engine.runs.run import Run
from tl_engine.runs.study_evaluation import StudyEvaluation
from tl_engine.runs.study_folder import StudyFolder, fill_run, run_name
from tl_engine.storage import atomic, record_files
from tl_engine.storage.cache import Cache
from tl_engine.storage.lease import Lease, lease_of
from tl_engine.storage.memory import Kept
from tl_engine.study import Study


class RunStore:
    """The folder of all studies."""

    def __init__(self, root: Path | str = "runs") -> None:
        self.root = Path(root).resolve()
        atomic.make_folder(self.root)

    def create(self, study: Study, *, threads: int | None = None) -> StudyFolder:
        """Write a study with its runs, each queued.

        Args:
            threads: that TensorFlow may use; None means as many as there are cores.
        """
        now = datetime.now().astimezone()
        path = self.root / f"{now:%Y%m%d-%H%M%S}-{_sayable()}"
        shared = {"threads": threads or os.cpu_count() or 1, "versions": record_files.versions()}
        before = Evidence(self).seen_runs(study)
        known = {"format": record_files.FORMAT, "id": path.name, **shared}

        def fill(folder: Path) -> None:
            asked = {"study": study.to_dict(), "created": now.isoformat(timespec="seconds")}
            record_files.write_json(folder / "study.json", {**known, **asked})
            for arm, pair in study.runs():
                run = folder / run_name(arm, pair)
                atomic.make_folder(run)
                # One copy among its runs is enough to find a damaged study.json again.
                of = {"of": asked} if pair == study.first_pair else {}
                seen = (recipe_id(study.arms[arm].recipe), pair) in before
                more = {**shared, "study": path.name, "computed_before": seen, **of}
                fill_run(run, study, arm, pair, more)

        atomic.publish_folder(path, fill)
        return StudyFolder(path)

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing in it yet."""
        return next(self._study_paths(), None) is None

    def studies(self) -> list[StudyFolder]:
        """The readable studies, newest first."""
        return [study for study in self._folders() if study.is_readable]

    def unreadable(self) -> list[StudyFolder]:
        """Folders that look like studies and cannot be read; never deleted, never hiding others."""
        return [study for study in self._folders() if not study.is_readable]

    def study(self, study_id: str) -> StudyFolder:
        """The study of that id.

        Raises:
            StoreError: where there is none.
        """
        path = self.root / study_id
        if (
            not study_id
            or study_id != path.name
            or not record_files.is_folder(path)
            or study_id[0] == "."
        ):
            newest = max((one.name for one in self._study_paths()), default="")
            hint = f"the newest is {newest}" if newest else "it holds none yet"
            raise StoreError(f"There is no study {study_id!r:.60} in {self.root}: {hint}.")
        return StudyFolder(path)

    def run(self, run_id: str) -> Run:
        """The run of that id, "<study>/<run>".

        Raises:
            StoreError: where there is none.
        """
        study_id, _, name = run_id.partition("/")
        return self.study(study_id).run(name)

    def runs(self) -> Iterator[Run]:
        """All runs of all readable studies, newest study first."""
        for study in self.studies():
            yield from study.runs()

    def select(self, ids: Iterable[str]) -> list[Run]:
        """The runs that ids of studies and of runs name, each once, in that order.

        Raises:
            StoreError: for an id that is not there.
        """
        chosen = {
            run.id: run
            for wanted in ids
            for run in ([self.run(wanted)] if "/" in wanted else self.study(wanted).runs())
        }
        return list(chosen.values())

    def next_waiting(self) -> Run | None:
        """The run to train next, queued or interrupted: oldest study first, in its order
        of training."""
        for path in sorted(self._study_paths()):
            with contextlib.suppress(StoreError):  # it is listed as what cannot be read
                names = [
                    entry.path for entry in record_files.names_in(path) if entry.name[:3] == "arm"
                ]
                if any(map(_may_wait, names)):
                    study = StudyFolder(path)
                    runs = study.runs_as_trained() if study.is_readable else []
                    if run := next((run for run in runs if run.is_waiting), None):
                        return run
        return None

    @property
    def cache(self) -> Cache:
        """What was computed once and may be needed again."""
        return Cache(self.root)

    def kept_phase_ends(self) -> set[str]:
        """Names of the states in which phases ended that are still there, computed by a machine
        like this one: no other's serve here."""
        ours = machine.description().items()
        known = self.cache.facts(KIND)
        return {name for name, facts in known if ours <= facts["environment"].items()}

    def delete(self, study_id: str) -> None:
        """Delete a study with all its runs. What was computed and opened is written down first, and
        stays seen.

        Raises:
            StoreError: while one of its runs is running, or is asked something.
        """
        study = self.study(study_id)
        # Before its runs are held: what is held looks as if it were training.
        left = Evidence(self).leaves(study) if study.is_readable else None
        with contextlib.ExitStack() as locked:
            runs = study.runs() if study.is_readable else []
            if not all([locked.enter_context(run.hold()) for run in runs]):
                raise StoreError(f"{study.title} is running: stop it first, then delete it.")
            if any(StudyEvaluation(study, kind).is_alive for kind in Evaluation):
                raise StoreError(f"{study.title} is being measured: stop that first.")
            if left:
                ledger.add(self.root, left)
            atomic.delete_folder(study.path)

    def sweep(self) -> None:
        """Remove what writers left that died; for the worker, once."""
        atomic.sweep(self.root, live=True)

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
        """Keep how long steps took on this machine."""
        timings.add(self.root, measurement)

    def measurements(self) -> list[dict[str, Any]]:
        """All measurements, oldest first."""
        return timings.read(self.root)

    def _folders(self) -> Iterator[StudyFolder]:
        for path in sorted(self._study_paths(), reverse=True):
            with contextlib.suppress(FileNotFoundError):  # deleted a moment ago
                yield _kept.get(path, partial(_opened, path), _lasts)

    def _study_paths(self) -> Iterator[Path]:
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and record_files.is_folder(entry.path):
                    yield Path(entry.path)


_kept: Kept[StudyFolder] = Kept(files=("study.json", "label.json"))


def _opened(path: Path) -> StudyFolder:
    """A study with its own files read, so that none is read twice."""
    study = StudyFolder(path)
    _ = study.is_readable and study.damage
    return study


def _lasts(study: StudyFolder) -> bool:
    return study.is_readable and not study.damage  # else it comes from other files, too


def _may_wait(run: str) -> bool:
    return not os.path.lexists(f"{run}/outcome.json") or os.path.lexists(f"{run}/queued")


def _sayable() -> str:
    """Four letters and digits, without those that are mistaken for one another."""
    return "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4))
