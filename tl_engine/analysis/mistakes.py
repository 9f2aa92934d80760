"""Mistakes: which images are behind a number, the surest first."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.predictions import Predictions, check_same_images


def surest_first(predictions: Predictions, positions: np.ndarray) -> np.ndarray:
    """The positions (m,) by falling confidence; equals keep their order."""
    return positions[np.argsort(-predictions.confidences[positions], kind="stable")]


def surest_mistakes(predictions: Predictions) -> np.ndarray:
    """Positions (m,) of all mistakes, the one that was said with most confidence first."""
    return surest_first(predictions, np.flatnonzero(~predictions.right))


def in_cell(predictions: Predictions, true: int, said: int) -> np.ndarray:
    """Positions (m,) of a confusion's cell, the surest first."""
    there = (predictions.labels == true) & (predictions.predicted == said)
    return surest_first(predictions, np.flatnonzero(there))


def only_in_first(first: Predictions, second: Predictions, true: int, said: int) -> np.ndarray:
    """Positions (m,) of what is in the first one's cell and not in the second's, the surest of
    the first one first: what the difference of two confusions is made of.

    Raises:
        ComparisonError: unless both are of the same images in the same order.
    """
    check_same_images(first, second)
    there = in_cell(first, true, said)
    return there[second.predicted[there] != said]


def once_each(
    predictions: Predictions, positions: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each image once, where it comes first among the positions (m,).

    Returns:
        positions (k,), in how many of the m rows each image is (k,), and in how many rows of all
        (k,): where each seed draws its own validation split, not every run has every image.
    """
    images, rows = np.unique(predictions.indices, return_counts=True)
    there, firsts, times = np.unique(
        predictions.indices[positions], return_index=True, return_counts=True
    )
    order = np.argsort(firsts)
    of = rows[np.searchsorted(images, there)]
    return positions[firsts[order]], times[order], of[order]


def confused_pairs(counts: np.ndarray) -> pd.DataFrame:
    """Classes that are taken for one another, whichever is true, most images first.

    Args:
        counts: (classes, classes), rows are true classes.

    Returns:
        Columns one, other (one < other), images, one_as_other, other_as_one; couples that are
        never confused left out.
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
