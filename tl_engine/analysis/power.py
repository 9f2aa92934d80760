"""How much so many pairs find, and how many more would find what matters."""

from __future__ import annotations

import math
from bisect import bisect_left
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import ALPHA, is_constant, sequence_limits, t_limit
from tl_engine.analysis.rule import END, LOOKS, Pairs, variance_of

POWER = 0.8
MOST_PAIRS = 10_000
SPREADS = 25
"""Variances over which the power is averaged: quantiles of what the pairs allow."""
CANDIDATES = np.unique(np.geomspace(1, MOST_PAIRS, 200).astype(int))
"""Numbers of further pairs that are tried: every one up to 26, then 5 % apart."""


class MorePairs(NamedTuple):
    """How many more pairs would find the smallest difference that matters, four times in five:
    were the spread at the ends of its 95 % range, and averaged over that range (`likely`)."""

    low: int
    likely: int
    high: int


def power(effect: float, pairs: int, *, alpha: float = ALPHA) -> float:
    """How often the t interval of so many pairs, at a confidence of 1 - alpha, excludes 0, on
    either side. The effect is the true difference over the standard deviation of the paired ones.
    """
    from scipy.special import nctdtr

    freedom, shift, limit = pairs - 1, effect * math.sqrt(pairs), t_limit(pairs, alpha)
    other_side = float(nctdtr(freedom, shift, -limit))
    # scipy gives NaN where the other side is too unlikely to be told from nothing.
    return float(1 - nctdtr(freedom, shift, limit)) + (other_side if other_side > 0 else 0.0)


def pairs_needed(effect: float, *, alpha: float = ALPHA) -> int:
    """The fewest pairs that find an effect (above 0) with a power of 80 %, arguments as in `power`;
    at most 10,000."""
    pairs = range(2, MOST_PAIRS)
    return pairs[0] + bisect_left(pairs, POWER, key=lambda n: power(effect, n, alpha=alpha))


def detectable(spread: float, pairs: int, alpha: float = ALPHA) -> float:
    """The smallest difference that so many pairs, at least 2, find with a power of 80 %, in the
    unit of their spread, the standard deviation of the paired differences."""
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        # Of effects so large that scipy has no number the power is 1.
        is_too_small = power(middle, pairs, alpha=alpha) < POWER
        low, high = (middle, high) if is_too_small else (low, middle)
    return spread * high


def more_pairs(pairs: Pairs, smallest: float, alpha: float = ALPHA) -> MorePairs:
    """How many more pairs would find the smallest difference that matters, by the rule that will
    judge them: the planned analysis where it is still to come, the sequence at any other number.

    The pairs that are in count: what is found at the end depends on their mean. The true difference
    is taken to be the smallest that matters, on the side where the mean is. The variance is
    estimated: its posterior under a flat prior on its logarithm is the sum of the squared
    deviations from that difference, over chi-square with as many degrees of freedom as pairs.

    Args:
        pairs: at least four; where all differ by the same, one more shows a spread.
        smallest: above 0, in the metric's column.
    """
    from scipy.special import chdtri

    values = np.asarray(pairs.differences, float)
    if is_constant(values):
        return MorePairs(1, 1, 1)
    aim = math.copysign(smallest, values.mean())
    about = float(((values - aim) ** 2).sum())
    chances = np.concatenate([(np.arange(SPREADS) + 0.5) / SPREADS, [0.975, 0.025]])
    found = _found(pairs, aim, about / chdtri(len(values), chances), alpha)
    counts = [
        int(CANDIDATES[np.argmax(share >= POWER)]) if share.max() >= POWER else MOST_PAIRS
        for share in (found[:, :SPREADS].mean(axis=1), found[:, -2], found[:, -1])
    ]
    return MorePairs(min(counts), counts[0], max(counts))


def _found(pairs: Pairs, aim: float, variances: np.ndarray, alpha: float) -> np.ndarray:
    """How often the rule claims a difference, (candidates, variances)."""
    done, planned = len(pairs.differences), pairs.planned
    share, prior = LOOKS if pairs.has_end else 1.0, variance_of(pairs)
    limits = sequence_limits(done + CANDIDATES, share * alpha, prior)
    found = _reaches(pairs, aim, variances, CANDIDATES, limits)
    if pairs.has_end and done < planned:
        limit = np.array([t_limit(planned, END * alpha)])
        at_end = _reaches(pairs, aim, variances, np.array([planned - done]), limit)
        # What the planned analysis claims stands when pairs are added.
        later = (done + CANDIDATES >= planned)[:, None]
        found = np.where(later, np.maximum(found, at_end), found)
    return found


def _reaches(
    pairs: Pairs, aim: float, variances: np.ndarray, more: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """The chance (more, variances) that the mean of all is over its limit in standard errors. The
    mean of those to come is normal; the spread of all is taken as the one that is expected."""
    from scipy.special import ndtr

    values = np.asarray(pairs.differences, float)
    done, mean, more = len(values), float(values.mean()), more[:, None]
    total = done + more
    squares = float(((values - mean) ** 2).sum()) + (more - 1) * variances
    squares = squares + done * more / total * ((mean - aim) ** 2 + variances / more)
    error = np.sqrt(squares / (total - 1) / total)
    centre = abs(done * mean + more * aim) / total
    return np.asarray(ndtr((centre - limits[:, None] * error) / np.sqrt(more * variances) * total))
