"""The studies in a store, to be read: which there are, and the runs in each."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from pathlib import Path

from tl_engine.errors import DamagedError, StoreError
from tl_engine.runs.layout import RUN_NAME, records_in, run_name
from tl_engine.runs.run import Run
from tl_engine.runs.study_record import StudyRecord
from tl_engine.storage import reading
from tl_engine.storage.memory import FolderCache
from tl_engine.study import MAXIMUM_PAIRS


class StudyFolder(StudyRecord):
    """A study in its store: the question, what people call it, and its runs.

    Which runs there are is read once, too; see `forget_runs`.
    """

    @cached_property
    def damage(self) -> str:
        """The sentence about the first of its own files that is not what was written; empty for a
        sound study."""
        try:
            records_in(self.path).read("study.json", required=True)
            _ = self.study, self.created, self._label
            expected = {path.name for path in self._run_paths}
            for name in sorted(entry.name for entry in reading.names_in(self.path)):
                if name.startswith("arm") and name not in expected:
                    raise DamagedError(self.path / name, "it is none of the study's runs")
        except StoreError as error:
            return str(error)
        return ""

    @cached_property
    def _run_paths(self) -> list[Path]:
        """Pair by pair; those of added pairs after the planned ones."""
        planned, arms, paths = self.study.pair_numbers, range(len(self.study.arms)), []
        for pair in range(planned.start, planned.start + MAXIMUM_PAIRS):
            folders = [self.path / run_name(arm, pair) for arm in arms]
            existing = [path for path in folders if reading.exists(path)]
            if pair >= planned.stop and not existing:
                break
            paths += existing
        return paths

    def forget_runs(self) -> None:
        """Read anew which runs there are, where somebody may have added some."""
        self.__dict__.pop("_run_paths", None)

    @property
    def added_pairs(self) -> int:
        """How many pairs somebody added after the study was launched, having seen its runs."""
        last = max((run.pair for run in self.runs()), default=0)
        return max(last + 1 - self.study.pair_numbers.stop, 0)

    def runs(self) -> list[Run]:
        """Its runs, pair by pair."""
        return [Run(path, self) for path in self._run_paths]

    def runs_as_trained(self) -> list[Run]:
        """Its runs in the order in which they are trained."""
        places = {arm: place for place, arm in enumerate(self.study.tree_order())}
        return sorted(self.runs(), key=lambda run: (run.pair, places[run.arm_index]))

    def run(self, name: str) -> Run:
        """The run of that name; StoreError where there is none."""
        path, existing = self.path / name, self._run_paths if self.is_readable else []
        is_foreign = self.is_readable and path not in existing
        if not RUN_NAME.fullmatch(name) or not reading.exists(path) or is_foreign:
            hint = f": it has {existing[0].name} to {existing[-1].name}" if existing else ""
            raise StoreError(f"Study {self.id} has no run {name!r:.60}{hint}.")
        return Run(path, self)


def folder_of(run: Run) -> StudyFolder:
    """The study of a run, with all its runs."""
    return run.study if isinstance(run.study, StudyFolder) else StudyFolder(run.study.path)


class StudyList:
    """The studies in a folder.

    Attributes:
        root: the folder, absolute.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()

    def paths(self) -> Iterator[Path]:
        """Every folder that looks like a study."""
        with os.scandir(self.root) as entries:
            for entry in entries:
                if not entry.name.startswith(".") and os.path.isdir(entry.path):
                    yield Path(entry.path)

    def studies(self) -> list[StudyFolder]:
        """The readable studies, newest first."""
        return [study for study in self._folders() if study.is_readable]

    def unreadable(self) -> list[StudyFolder]:
        """Folders that look like studies and cannot be read; never deleted, never hiding others."""
        return [study for study in self._folders() if not study.is_readable]

    def study(self, study_id: str) -> StudyFolder:
        """The study of that id; StoreError where there is none."""
        path = self.root / study_id
        is_id = study_id and study_id == path.name and study_id[0] != "."
        if not is_id or not os.path.isdir(path):
            newest = max((path.name for path in self.paths()), default="")
            hint = f"the newest is {newest}" if newest else "it holds none yet"
            raise StoreError(f"There is no study {study_id!r:.60} in {self.root}: {hint}.")
        return StudyFolder(path)

    def run(self, run_id: str) -> Run:
        """The run of that id, "<study>/<run>"; errors as those of `study`."""
        study_id, _, name = run_id.partition("/")
        return self.study(study_id).run(name)

    def runs(self) -> Iterator[Run]:
        """All runs of all readable studies, newest study first."""
        for study in self.studies():
            yield from study.runs()

    def select(self, ids: Iterable[str]) -> list[Run]:
        """The runs with these ids and of the studies with these ids, each once, in that order;
        errors as those of `study`."""
        chosen = {
            run.id: run
            for wanted in ids
            for run in ([self.run(wanted)] if "/" in wanted else self.study(wanted).runs())
        }
        return list(chosen.values())

    def _folders(self) -> Iterator[StudyFolder]:
        for path in sorted(self.paths(), reverse=True):
            with contextlib.suppress(FileNotFoundError):  # deleted a moment ago
                yield _cached.get(path, partial(_opened, path), _lasts)


_cached: FolderCache[StudyFolder] = FolderCache(files=("study.json", "label.json"))


def _opened(path: Path) -> StudyFolder:
    """A study with its own files read, so that none is read twice."""
    study = StudyFolder(path)
    _ = study.is_readable and study.damage
    return study


def _lasts(study: StudyFolder) -> bool:
    return study.is_readable and not study.damage  # else it comes from other files, too
