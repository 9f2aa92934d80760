"""Class by class: where the difference of two arms comes from."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tl_engine.analysis.family import holm
from tl_engine.analysis.interval import LEAST_PAIRS, is_constant, sample_of, t_interval, t_p


def class_deltas(first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    """Recall of the first arm minus that of the second per class, paired over seeds.

    Args:
        first, second: recalls (pairs, classes), 0 to 1, NaN where a class has no image.

    Returns:
        A row per class: class (its index), pairs, first, second (mean recalls over those pairs),
        difference, low, high (95 % paired t interval of this class alone), p (two-sided) and
        p_holm (adjusted for all classes that have a p). Interval and p are NaN under four pairs.
        Where every pair shows the same difference nothing is known of its spread: no interval,
        and a p of 1.
    """
    rows = [_row(first[:, place], second[:, place]) for place in range(first.shape[1])]
    frame = pd.DataFrame(
        rows, columns=["pairs", "first", "second", "difference", "low", "high", "p"]
    )
    frame.insert(0, "class", range(len(rows)))
    frame["p_holm"] = holm(frame["p"].to_numpy(float))
    return frame


def _row(first: np.ndarray, second: np.ndarray) -> tuple[float, ...]:
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    differences, pairs = first - second, int(both.sum())
    if not pairs:
        return (0, *[math.nan] * 6)
    means = (pairs, float(first.mean()), float(second.mean()), float(differences.mean()))
    if pairs < LEAST_PAIRS:
        return (*means, math.nan, math.nan, math.nan)
    if is_constant(differences):
        return (*means, math.nan, math.nan, 1.0)
    return (*means, *t_interval(differences), t_p(sample_of(differences)))
