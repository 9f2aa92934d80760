"""Openings: how often somebody has looked at a study's test split, a line for each.

A line is written before the first image is read, so whoever dies in between has opened it. The
log only gains lines, each sealed, and they are numbered.
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


class Opening(NamedTuple):
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


def read(study: StudyFolder) -> list[Opening]:
    """The openings, oldest first; test results that no line tells of count as one before all.

    Raises:
        DamagedError: for a log that is not what was written.
    """
    lines = _lines(study.path / FILE)
    told = {name for opening in lines for name in opening.runs}
    untold = [run.path.name for run in study.runs() if run.path.name not in told and _known(run)]
    return [Opening(1, "", tuple(untold)), *lines] if untold else lines


def note(study: StudyFolder, runs: Iterable[Run]) -> Opening:
    """Write down that these runs are about to be asked; an opening that was not finished goes on
    where it names them all. The caller holds the lock of the evaluation.

    Raises:
        OSError: where the disk is full or refuses: then nobody may look.
    """
    path, known = study.path / FILE, read(study)
    names = tuple(run.path.name for run in runs)
    if known and set(names) <= {name for opening in known for name in opening.runs}:
        return known[-1]
    opening = Opening(count(known) + 1, record_files.now(), names)
    # Written anew with its old lines: half a line, left by a power cut, would damage them all.
    lines = [*_lines(path), opening]
    atomic.rewrite_lines(path, [record_files.seal(_written(line)) for line in lines])
    return opening


def count(openings: list[Opening]) -> int:
    """How often the test split was opened."""
    ours = [opening for opening in openings if not opening.study]
    return len(openings) - len(ours) + max([len(ours), *(one.number for one in ours)])


def _lines(path: Path) -> list[Opening]:
    lines = record_files.read_lines(path)
    found = [Opening(line["number"], line["at"], tuple(line["runs"])) for line in lines]
    numbers = [opening.number for opening in found]
    if numbers != sorted(set(numbers)):
        raise DamagedError(path, "an opening is twice there")
    return found


def _written(line: Opening) -> dict[str, Any]:
    return {"number": line.number, "at": line.at, "runs": line.runs}


def _known(run: Run) -> bool:
    try:
        return _kept.get(run.path, lambda: run.test_scores() is not None)
    except DamagedError:
        return True  # there was something to be damaged


_kept: Kept[bool] = Kept()
