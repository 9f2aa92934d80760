"""Several comparisons at once: with no difference anywhere, the chance of any claim stays alpha."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tl_engine.analysis.interval import ALPHA
from tl_engine.analysis.rule import Pairs, p_value
from tl_engine.analysis.verdict import Verdict, decide
from tl_engine.metric import ACCURACY, Metric


def decide_all(
    family: Sequence[Pairs], smallest: float, *, metric: Metric = ACCURACY, others: int = 0
) -> list[Verdict]:
    """The verdicts of several contrasts, so that with no difference anywhere the chance of any
    claim stays 5 % (Holm 1979): the smallest p is held against 5 % over the number of contrasts,
    the next against 5 % over one less, until one is not small enough; that one and the rest are
    decided at its alpha. Contrasts of too few pairs are looks, and do not count.

    Args:
        others: further contrasts of the same family, none of them decided here.
    """
    p_values = [p_value(pairs) for pairs in family]
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    alphas, left, is_over = {}, len(order) + others, False
    for p, place in order:
        alphas[place] = ALPHA / left
        is_over = is_over or p > alphas[place]
        left = left if is_over else left - 1
    return [
        decide(pairs, smallest, metric=metric, alpha=alphas.get(place, ALPHA))
        for place, pairs in enumerate(family)
    ]


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p (n,) of a family (Holm 1979); a NaN is no member of it and stays NaN."""
    values = np.asarray(p, float)
    members = np.flatnonzero(~np.isnan(values))
    order = members[np.argsort(values[members], kind="stable")]
    adjusted = np.full(len(values), np.nan)
    stepped = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted
