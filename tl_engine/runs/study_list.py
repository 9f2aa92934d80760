"""The studies in a store: which there are, and how to find one of them or of their runs."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from tl_engine.errors import StoreError
from tl_engine.runs.run import Run
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.storage.memory import FolderCache


class StudyList:
    """The studies in a folder, to be read.

    Attributes:
        root: the folder, absolute.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root).resolve()

    @property
    def is_empty(self) -> bool:
        """Whether there is no study yet."""
        return next(self.paths(), None) is None

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
        """The study of that id.

        Raises:
            StoreError: where there is none.
        """
        path = self.root / study_id
        is_id = study_id and study_id == path.name and study_id[0] != "."
        if not is_id or not os.path.isdir(path):
            newest = max((one.name for one in self.paths()), default="")
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
        """The runs with these ids and of the studies with these ids, each once, in that order.

        Raises:
            StoreError: for an id that does not exist.
        """
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
