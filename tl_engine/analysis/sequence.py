"""The confidence sequence: an interval that holds at all numbers of pairs at once.

Lai 1976, in the closed form of Wang and Ramdas 2024 (arXiv 2310.03722): a normal prior with
variance v on the effect (the difference in standard deviations). v decides where the sequence is
narrowest, never whether it is valid, as long as no data choose it.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from tl_engine.analysis.interval import ALPHA, Interval, Sample, sample_of

USUAL_PAIRS = 20
"""Where the sequence is narrowest if nobody fixed a number of pairs: most claims that are wrong for
skewness are made in the first looks, and this leaves them little."""


@lru_cache
def prior_variance(planned: int, alpha: float = ALPHA) -> float:
    """The variance at which the sequence is narrowest at so many pairs.

    Half its width at n pairs is, in standard errors, the root of (n - 1)(1 - q)/(q - r) with
    r = 1/(1 + n v) and q = (r alpha^2)^(1/n). Its derivative by v is 0 where
    (1 + v)^n = (1 + n v)/alpha^2, and the half-width there is the root of 1 + n v.

    Args:
        planned: pairs that were planned, at least 2; 0 where no number was fixed.
        alpha: for which it is narrowest. Not the level at which the sequence is used: one prior
            makes p and intervals of all levels agree.
    """
    pairs = max(planned, 2) if planned else USUAL_PAIRS
    low, high = 0.0, 1.0

    def is_below(v: float) -> bool:
        return pairs * math.log1p(v) < math.log1p(pairs * v) - 2 * math.log(alpha)

    while is_below(high):
        low, high = high, 2 * high
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def sequence_limits(pairs: np.ndarray, alpha: float, variance: float) -> np.ndarray:
    """Half the sequence's width in standard errors at each number of pairs, from 2 on; infinite
    where there is no bound yet."""
    ratio = 1 / (1 + pairs * variance)
    quantile = (ratio * alpha**2) ** (1 / pairs)
    above = quantile - ratio
    squares = (pairs - 1) * (1 - quantile) / np.where(above > 0, above, 1.0)
    return np.sqrt(np.where(above > 0, squares, math.inf))


@lru_cache(4096)
def sequence_limit(pairs: int, alpha: float, variance: float) -> float:
    """`sequence_limits` at one number of pairs."""
    return float(sequence_limits(np.array([pairs]), alpha, variance)[0])


def sequence_p(sample: Sample, variance: float) -> float:
    """The p of no difference that is valid at any time: one over the e-value; 1 without spread."""
    if sample.error == 0:
        return 1.0
    pairs, freedom, square = sample.pairs, sample.pairs - 1, sample.t**2
    ratio = 1 / (1 + pairs * variance)
    log_e = 0.5 * math.log(ratio) + pairs / 2 * (
        math.log1p(square / freedom) - math.log1p(ratio * square / freedom)
    )
    return math.exp(-max(log_e, 0.0))


def confidence_sequence(
    differences: np.ndarray, alpha: float = ALPHA, planned: int = 0
) -> Interval:
    """The interval after (n,) differences, n at least 2: whoever looks how often, all of them hold
    together with probability 1 - alpha.

    Args:
        planned: pairs at which it is narrowest at 95 %; 0 where no number was fixed.
    """
    sample = sample_of(differences)
    return sample.interval(sequence_limit(sample.pairs, alpha, prior_variance(planned)))
