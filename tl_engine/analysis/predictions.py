"""What runs predicted of validation images, row by row, so that every number has its images.

Functions of two sets of predictions raise a ComparisonError unless both are of the same images in
the same order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.errors import ComparisonError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Predictions:
    """A row per run and image: the class of the highest probability, which is its confidence (0 to
    1), the true class, the image's position in the dataset's published array, the number of the
    pair; (n,) each, and how many classes there are."""

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
    """The predictions of one run from its probabilities (n, classes) as they are stored: the
    rounded numbers decide the class, as they do in scores."""
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


def by_confidence(predictions: Predictions, positions: np.ndarray) -> np.ndarray:
    """The positions (m,) by falling confidence; equals keep their order."""
    return positions[np.argsort(-predictions.confidences[positions], kind="stable")]


def misclassified(predictions: Predictions) -> np.ndarray:
    """Positions (m,) of all wrong predictions, the most confident first."""
    return by_confidence(predictions, np.flatnonzero(~predictions.right))


def in_cell(predictions: Predictions, true: int, predicted: int) -> np.ndarray:
    """Positions (m,) of a confusion's cell, the most confident first."""
    is_in = (predictions.labels == true) & (predictions.predicted == predicted)
    return by_confidence(predictions, np.flatnonzero(is_in))


def only_in_first(first: Predictions, second: Predictions, true: int, predicted: int) -> np.ndarray:
    """Positions (m,) of what is in the first one's cell and not in the second's, the first one's
    most confident first: what the difference of two confusions is made of."""
    check_same_images(first, second)
    positions = in_cell(first, true, predicted)
    return positions[second.predicted[positions] != predicted]


def once_each(
    predictions: Predictions, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image once: where it comes first among the positions (m,), in how many of these it is,
    and in how many rows of all, (k,) each: where each seed draws its own validation split, not
    every run has every image."""
    images, rows = np.unique(predictions.indices, return_counts=True)
    found, firsts, times = np.unique(
        predictions.indices[positions], return_index=True, return_counts=True
    )
    order = np.argsort(firsts)
    of_all = rows[np.searchsorted(images, found)]
    return positions[firsts[order]], times[order], of_all[order]


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes); rows are true classes, columns predicted ones."""
    # Labels are often uint8, in which label * classes would wrap around.
    cells = np.asarray(labels, np.int64) * classes + predicted
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their true class; NaN where a class has no image."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, where=totals > 0, out=np.full(counts.shape, np.nan))


def per_class_accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of each true class that is predicted right; NaN where it has no image."""
    return np.diag(row_shares(counts))


def difference_in_points(counts_a: np.ndarray, counts_b: np.ndarray) -> np.ndarray:
    """A minus B in percentage points of the true class, so that different totals compare."""
    return 100 * (row_shares(counts_a) - row_shares(counts_b))


def confused_pairs(counts: np.ndarray) -> pd.DataFrame:
    """Classes of `confusion_counts` that are taken for one another, whichever is true, most images
    first: columns one, other (class indices, one < other), images, one_as_other, other_as_one."""
    import pandas as pd  # not in the processes that train, which count confusions, too

    one, other = np.triu_indices(len(counts), k=1)
    as_other, as_one = counts[one, other], counts[other, one]
    columns = {"one": one, "other": other, "images": as_other + as_one}
    frame = pd.DataFrame({**columns, "one_as_other": as_other, "other_as_one": as_one})
    frame = frame[frame["images"] > 0]
    return frame.sort_values("images", ascending=False, kind="stable", ignore_index=True)
