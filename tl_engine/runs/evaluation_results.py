"""Evaluations: what finished runs are asked after training, and where their answers are kept.

Training asks a run of its validation images and of nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from tl_engine.storage import atomic, record_files

if TYPE_CHECKING:
    from tl_engine.runs.run import Run


class Evaluation(StrEnum):
    """A question to finished runs.

    TEST: the test split, which is locked until somebody opens it. ROBUSTNESS: validation images,
    corrupted.
    """

    TEST = "test"
    ROBUSTNESS = "robustness"


def keep(
    run: Run,
    kind: Evaluation,
    value: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Write a run's answer, whole or not at all: the arrays first, then the file with a checksum
    that names them. The caller holds the evaluation's lock.

    Raises:
        OSError: where the disk is full or refuses.
    """
    kept = {}
    if arrays:
        path = run.path / f"{kind}.npz"
        atomic.write_arrays(path, arrays)
        kept = {"files": {path.name: record_files.sha256_of(path)}}
    _records(run).write(f"{kind}.json", {**value, **kept})


def answer(run: Run, kind: Evaluation) -> dict[str, Any] | None:
    """What a run said; None where it was not asked.

    Raises:
        DamagedError: where it is not what was written.
    """
    if not os.path.lexists(run.path / f"{kind}.json"):
        return None
    return _records(run).read(f"{kind}.json") or None


def arrays(run: Run, kind: Evaluation) -> dict[str, np.ndarray]:
    """The arrays of a run's answer; none where it was not asked.

    Raises:
        DamagedError: where they are not what was written.
    """
    said = answer(run, kind) or {}
    found: dict[str, np.ndarray] = {}
    for name, sha256 in said.get("files", {}).items():
        found |= record_files.read_arrays(run.path / name, sha256)
    return found


def _records(run: Run) -> record_files.Records:
    """Answers have checksums even where the run, which is older, has none."""
    return replace(run.records, checked=True)
