"""Predictions of runs for validation images, row by row, so that every number has its images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tl_engine.errors import ComparisonError


@dataclass(frozen=True)
class Predictions:
    """A row per run and image; of probabilities only the highest is kept.

    Attributes:
        predicted: classes (n,), those of the highest probability.
        confidences: its probability (n,), 0 to 1.
        labels: true classes (n,).
        indices: positions (n,) in the dataset's published array.
        pairs: the number (n,) of each row's paired seed.
        classes: how many there are.
    """

    predicted: np.ndarray
    confidences: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    pairs: np.ndarray
    classes: int

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> np.ndarray:
        """Whether (n,) the true class was predicted."""
        return self.predicted == self.labels


def predictions(
    probabilities: np.ndarray, labels: np.ndarray, indices: np.ndarray, pair: int
) -> Predictions:
    """The predictions of one run.

    Args:
        probabilities: (n, classes), as they are stored: the rounded numbers decide the class, as
            they do in scores.
    """
    return Predictions(
        predicted=probabilities.argmax(axis=1),
        confidences=np.minimum(probabilities.max(axis=1).astype(float), 1.0),
        labels=labels,
        indices=indices,
        pairs=np.full(len(labels), pair),
        classes=probabilities.shape[1],
    )


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The rows of several runs, one after another; at least one run."""
    names = ("predicted", "confidences", "labels", "indices", "pairs")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Predictions(**arrays, classes=parts[0].classes)


def check_same_images(first: Predictions, second: Predictions) -> None:
    """Refuse two sets of predictions unless each row is of the same image and pair in both.

    Raises:
        ComparisonError: saying what differs.
    """
    if first.classes != second.classes or len(first) != len(second):
        what = f"{len(first):,} of {first.classes} classes and {len(second):,} of {second.classes}"
        raise ComparisonError(
            f"Two arms are compared image by image on the same validation images, got {what}: "
            "choose arms of the same dataset."
        )
    for name in ("pairs", "indices", "labels"):
        differing = int((getattr(first, name) != getattr(second, name)).sum())
        if differing:
            raise ComparisonError(
                "Two arms are compared image by image on the same validation images in the same "
                f"order, but the {name} of {differing:,} of {len(first):,} rows differ: choose "
                "arms whose pairs share their seeds and their dataset."
            )
