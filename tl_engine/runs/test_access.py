"""Accesses: how often somebody has looked at a study's test split, a line for each.

A line is written before the first image is read, so whoever dies in between has opened it. The
log only gains lines, each with a checksum, and they are numbered.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_engine.errors import DamagedError
from tl_engine.storage import atomic, record_files
from tl_engine.storage.memory import Kept

if TYPE_CHECKING:
    from tl_engine.runs.run import Run
    from tl_engine.runs.study_folder import StudyFolder

FILE = "openings.jsonl"
"""The name that stores of format 3 have."""


class TestSetAccess(NamedTuple):
    """One look at the test split.

    Attributes:
        number: 1 for the first of the study.
        at: ISO time; empty where an earlier version measured it at the end of each run.
        runs: names of the runs that were asked in it.
        study: title of another study in which the same runs were asked; empty in its own.
    """

    number: int
    at: str
    runs: tuple[str, ...]
    study: str = ""


def read(study: StudyFolder) -> list[TestSetAccess]:
    """The accesses, oldest first; test results that no line tells of count as one before all.

    Raises:
        DamagedError: for a log that is not what was written.
    """
    lines = _lines(study.path / FILE)
    told = {name for access in lines for name in access.runs}
    untold = [run.path.name for run in study.runs() if run.path.name not in told and _known(run)]
    return [TestSetAccess(1, "", tuple(untold)), *lines] if untold else lines


def note(study: StudyFolder, runs: Iterable[Run]) -> TestSetAccess:
    """Write down that these runs are about to be asked; an access that was not finished goes on
    where it names them all. The caller holds the lock of the evaluation.

    Raises:
        OSError: where the disk is full or refuses: then nobody may look.
    """
    path, known = study.path / FILE, read(study)
    names = tuple(run.path.name for run in runs)
    if known and set(names) <= {name for access in known for name in access.runs}:
        return known[-1]
    access = TestSetAccess(count(known) + 1, record_files.now(), names)
    # Written anew with its old lines: half a line, left by a power cut, would damage them all.
    lines = [*_lines(path), access]
    atomic.rewrite_lines(path, [record_files.with_checksum(_written(line)) for line in lines])
    return access


def count(accesses: list[TestSetAccess]) -> int:
    """How often the test split was opened."""
    ours = [access for access in accesses if not access.study]
    return len(accesses) - len(ours) + max([len(ours), *(one.number for one in ours)])


def _lines(path: Path) -> list[TestSetAccess]:
    lines = record_files.read_lines(path)
    found = [TestSetAccess(line["number"], line["at"], tuple(line["runs"])) for line in lines]
    numbers = [access.number for access in found]
    if numbers != sorted(set(numbers)):
        raise DamagedError(path, "an access is twice there")
    return found


def _written(line: TestSetAccess) -> dict[str, Any]:
    return {"number": line.number, "at": line.at, "runs": line.runs}


def _known(run: Run) -> bool:
    try:
        return _kept.get(run.path, lambda: run.test_scores() is not None)
    except DamagedError:
        return True  # there was something to be damaged


_kept: Kept[bool] = Kept()
