"""What a run leaves besides its records: predictions, the model's files, its log."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.runs import checkpoint
from tl_engine.runs.layout import CHECKPOINT
from tl_engine.runs.run import Run
from tl_engine.storage import atomic, reading

LOG_BYTES = 20_000


class ModelFormat(NamedTuple):
    """A format of a finished run's model.

    Attributes:
        title: of its file, with the article.
        save: writes a Keras model to a path that ends in the format's suffix.
    """

    title: str
    save: Callable[[Any, Path], object]


MODEL_FORMATS = {
    "keras": ModelFormat("a .keras file", lambda model, path: model.save(path)),
    "h5": ModelFormat("an .h5 file", lambda model, path: model.save(path)),
}
"""By suffix. Every finished run has its model.keras; the others are written on request."""
EXPORTS = [suffix for suffix in MODEL_FORMATS if suffix != "keras"]


def probabilities(run: Run) -> dict[str, np.ndarray]:
    """Predictions for the validation images: `validation`, probabilities (n, classes) float16;
    `validation_labels` and `validation_indices` (n,), indices into the dataset's published array.

    Raises:
        StoreError: before the run has finished, or where they are not what was written.
    """
    path, scores = run.path / "probabilities.npz", run.scores
    if not scores:
        raise StoreError(f"Run {run.id} has no probabilities yet: it is {run.state.value}.")
    return reading.read_arrays(path, scores.get("files", {}).get(path.name, ""))


def model_arrays(run: Run) -> dict[str, np.ndarray]:
    """All variables of the model at the last commit, by index in the model's order.

    Raises:
        StoreError: before the first commit, or where they are not what was written.
    """
    manifest = run.records.read(CHECKPOINT)
    if not manifest:
        raise StoreError(f"Run {run.id} has no trained model yet: it is {run.state.value}.")
    return checkpoint.model_in(run.path, manifest["files"])


def model_file(run: Run, suffix: str = "keras") -> Path | None:
    """The path of the model in one of MODEL_FORMATS; None where it was not written."""
    path = run.path / f"model.{suffix}"
    return path if os.path.isfile(path) else None


def model_bytes(run: Run, suffix: str = "keras") -> bytes:
    """The model in one of MODEL_FORMATS; DamagedError where that is not what was written."""
    path = run.path / f"model.{suffix}"
    return reading.read_bytes(path, run.outcome.get("files", {}).get(path.name, ""))


def write_model(run: Run, save: Callable[[Path], object], suffix: str = "keras") -> None:
    """Replace the model in one of MODEL_FORMATS by what `save(path)` writes; OSError where the disk
    is full or refuses. Exports need no claim of the run: nothing else of it changes."""
    atomic.write(run.path / f"model.{suffix}", lambda file: save(Path(file.name)))


def log_tail(run: Run, lines: int = 40) -> str:
    """The last lines of the log."""
    try:
        with os.fdopen(atomic.open_file(run.path / "log.txt", os.O_RDONLY), "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    return "\n".join(text.splitlines()[-lines:])


def open_log(run: Run) -> IO[bytes]:
    """The log, to append to."""
    return atomic.open_log(run.path / "log.txt")


def bytes_on_disk(run: Run) -> int:
    """Bytes of all its files."""
    size = 0
    for folder, _, names in os.walk(run.path):
        for name in names:
            with contextlib.suppress(OSError):
                size += os.lstat(os.path.join(folder, name)).st_size
    return size
