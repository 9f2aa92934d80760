"""Paired scores: two arms on one set of images, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.verdict import LEAST_PAIRS, Interval, t_interval


class PairedScores(NamedTuple):
    """Two arms over the seeds that both have.

    Attributes:
        pairs: how many.
        first, second: mean score of each, as a share; NaN without a pair.
        interval: 95 % paired t interval of first minus second; None for fewer than four pairs.
    """

    pairs: int
    first: float
    second: float
    interval: Interval | None

    @property
    def difference(self) -> float:
        """Mean of first minus second, as a share."""
        return self.first - self.second


def paired_scores(first: Mapping[int, float], second: Mapping[int, float]) -> PairedScores:
    """Compare two arms.

    Args:
        first, second: a score, as a share, per seed.
    """
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return PairedScores(0, math.nan, math.nan, None)
    ours, theirs = (np.array([scores[seed] for seed in seeds]) for scores in (first, second))
    interval = t_interval(ours - theirs) if len(seeds) >= LEAST_PAIRS else None
    return PairedScores(len(seeds), float(ours.mean()), float(theirs.mean()), interval)
