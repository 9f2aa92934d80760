"""Misclassified images: which images are behind a number, the most confident predictions first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.predictions import Predictions, check_same_images


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
    most confident first: what the difference of two confusions is made of.

    Raises:
        ComparisonError: unless both are of the same images in the same order.
    """
    check_same_images(first, second)
    positions = in_cell(first, true, predicted)
    return positions[second.predicted[positions] != predicted]


def once_each(
    predictions: Predictions, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image once, where it comes first among the positions (m,).

    Returns:
        positions (k,), in how many of the m rows each image is (k,), and in how many rows of all
        (k,): where each seed draws its own validation split, not every run has every image.
    """
    images, rows = np.unique(predictions.indices, return_counts=True)
    found, firsts, times = np.unique(
        predictions.indices[positions], return_index=True, return_counts=True
    )
    order = np.argsort(firsts)
    of = rows[np.searchsorted(images, found)]
    return positions[firsts[order]], times[order], of[order]


def confused_pairs(counts: np.ndarray) -> pd.DataFrame:
    """Classes that are taken for one another, whichever is true, most images first.

    Args:
        counts: (classes, classes), rows are true classes.

    Returns:
        Columns one, other (class indices, one < other), images, one_as_other, other_as_one;
        pairs of classes that are never confused are left out.
    """
    one, other = np.triu_indices(len(counts), k=1)
    frame = pd.DataFrame(
        {
            "one": one,
            "other": other,
            "images": counts[one, other] + counts[other, one],
            "one_as_other": counts[one, other],
            "other_as_one": counts[other, one],
        }
    )
    frame = frame[frame["images"] > 0]
    return frame.sort_values("images", ascending=False, kind="stable", ignore_index=True)
