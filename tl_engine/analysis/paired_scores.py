"""Paired scores: two arms on one set of images, seed by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import LEAST_PAIRS, Interval, is_constant, t_interval
from tl_engine.analysis.sequence import confidence_sequence


class PairedScores(NamedTuple):
    """Two arms over the seeds that both have.

    Attributes:
        pairs: how many.
        first, second: mean score of each, as a share; NaN without a pair.
        interval: 95 % interval of first minus second; None for fewer than four pairs, and where
            all of them differ by the same.
        all_in: the interval is the paired t interval; else a confidence sequence.
    """

    pairs: int
    first: float
    second: float
    interval: Interval | None
    all_in: bool

    @property
    def difference(self) -> float:
        """Mean of first minus second, as a share."""
        return self.first - self.second


def paired_scores(
    first: Mapping[int, float], second: Mapping[int, float], *, all_in: bool
) -> PairedScores:
    """Compare two arms.

    Args:
        first, second: a score, as a share, per seed.
        all_in: the number of pairs was fixed before the first run, and all of them are here.
    """
    seeds = sorted(set(first) & set(second))
    if not seeds:
        return PairedScores(0, math.nan, math.nan, None, all_in)
    scores, others = (np.array([one[seed] for seed in seeds]) for one in (first, second))
    differences, interval = scores - others, None
    if len(seeds) >= LEAST_PAIRS and not is_constant(differences):
        interval = (t_interval if all_in else confidence_sequence)(differences)
    return PairedScores(len(seeds), float(scores.mean()), float(others.mean()), interval, all_in)
