"""Accesses to the test set: every time that somebody measured a study's runs on the test images.

A line is written before the first image is read, so that a process that dies in between has used
its access. The log only gains lines, each with a checksum, and they are numbered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tl_engine.errors import DamagedError
from tl_engine.runs.evaluations import Evaluation, has_result
from tl_engine.runs.layout import records_in
from tl_engine.runs.run import Run
from tl_engine.runs.studies import StudyFolder
from tl_engine.storage import record_files

FILE = "openings.jsonl"
"""The name that stores of format 3 have."""


class TestSetAccess(NamedTuple):
    """One access to the test set.

    Attributes:
        number: 1 for the first of the study.
        at: ISO time; empty where the log does not tell of it.
        runs: names of the runs that were measured.
        study: title of another study in which the same runs were measured; empty in its own.
    """

    number: int
    at: str
    runs: tuple[str, ...]
    study: str = ""


def read(study: StudyFolder) -> list[TestSetAccess]:
    """The accesses, oldest first. Test results that the log does not tell of count as one access
    before all others. DamagedError for a log that is not what was written."""
    logged = _logged(study)
    names = {name for access in logged for name in access.runs}
    measured = [run.path.name for run in study.runs() if has_result(run, Evaluation.TEST)]
    unlogged = tuple(name for name in measured if name not in names)
    return [TestSetAccess(1, "", unlogged), *logged] if unlogged else logged


def note(study: StudyFolder, runs: Iterable[Run]) -> TestSetAccess:
    """Write down that these runs are about to be measured. An access that was interrupted is
    continued where it names them all. The caller holds the lock of the evaluation.

    Raises:
        OSError: where the disk is full or refuses: then nobody may read the test images.
    """
    accesses, names = read(study), tuple(run.path.name for run in runs)
    if accesses and set(names) <= {name for access in accesses for name in access.runs}:
        return accesses[-1]
    access = TestSetAccess(count(accesses) + 1, record_files.now(), names)
    logged = [*_logged(study), access]
    lines = [{"number": line.number, "at": line.at, "runs": line.runs} for line in logged]
    # Not appended: a line left unfinished by a power cut would damage all lines.
    records_in(study.path).rewrite(FILE, lines)
    return access


def count(accesses: list[TestSetAccess]) -> int:
    """How often the test set was accessed."""
    own = [access for access in accesses if not access.study]
    return len(accesses) - len(own) + max([len(own), *(access.number for access in own)])


def _logged(study: StudyFolder) -> list[TestSetAccess]:
    lines = records_in(study.path).lines(FILE)
    accesses = [TestSetAccess(line["number"], line["at"], tuple(line["runs"])) for line in lines]
    numbers = [access.number for access in accesses]
    if numbers != sorted(set(numbers)):
        raise DamagedError(study.path / FILE, "an access is twice there")
    return accesses
