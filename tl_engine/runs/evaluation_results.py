"""Evaluations: what finished runs are measured on after training, and where the results lie.

Training measures a run on its validation images and on nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import numpy as np

from tl_engine.runs.run import Run
from tl_engine.storage import atomic, reading


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
    them. The caller holds the evaluation's lock.

    Raises:
        OSError: where the disk is full or refuses.
    """
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
    """The arrays of a run's result, empty where it was not measured. Of the test split:
    `probabilities` (n, classes) float16, `labels` and `indices` (n,).

    Raises:
        DamagedError: where they are not what was written.
    """
    arrays: dict[str, np.ndarray] = {}
    for name, sha256 in (result_of(run, kind) or {}).get("files", {}).items():
        arrays |= reading.read_arrays(run.path / name, sha256)
    return arrays
