"""What runs said of validation images, row by row, so that every number leads to its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tl_engine.errors import ComparisonError


@dataclass(frozen=True)
class Predictions:
    """A row per run and image.

    Attributes:
        probabilities: float16 (n, classes), as a finished run leaves them.
        labels: true classes (n,).
        indices: positions (n,) in the dataset's published array.
        pairs: the number (n,) of each row's paired seed.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    pairs: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.probabilities.shape[1]

    @cached_property
    def predicted(self) -> np.ndarray:
        """The class (n,) that was said; of the float16 values, as scores are counted."""
        return self.probabilities.argmax(axis=1)

    @cached_property
    def confidences(self) -> np.ndarray:
        """The probability (n,) of the class that was said, 0 to 1."""
        return np.minimum(self.probabilities.max(axis=1).astype(float), 1.0)

    @property
    def right(self) -> np.ndarray:
        """Whether (n,) the true class was said."""
        return self.predicted == self.labels


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The rows of several runs, one after another; at least one run."""
    names = ("probabilities", "labels", "indices", "pairs")
    return Predictions(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


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
