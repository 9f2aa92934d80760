"""Confusions: which class is taken for which."""

from __future__ import annotations

import numpy as np


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Counts (classes, classes); rows are true classes, columns predicted ones."""
    # Labels are often uint8, in which label * classes would wrap around.
    cells = np.asarray(labels, np.int64) * classes + predicted
    flat = np.bincount(cells, minlength=classes * classes)
    return flat.reshape(classes, classes)


def row_shares(counts: np.ndarray) -> np.ndarray:
    """Counts as shares of their true class; NaN where a class has no image."""
    totals = counts.sum(axis=1, keepdims=True)
    return np.divide(counts, totals, where=totals > 0, out=np.full(counts.shape, np.nan))


def per_class_accuracy(counts: np.ndarray) -> np.ndarray:
    """Share of each true class that is predicted right; NaN where it has no image."""
    return np.diag(row_shares(counts))


def difference(counts_a: np.ndarray, counts_b: np.ndarray) -> np.ndarray:
    """A minus B in percentage points of the true class, so that different totals compare."""
    return 100 * (row_shares(counts_a) - row_shares(counts_b))
