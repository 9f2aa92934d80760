"""Intervals of a mean difference, and what they are made of."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.skew import allow_for_skew, inverse

LEAST_PAIRS = 4
"""Fewer allow no verdict: three find only differences of 3.3 standard deviations."""
ALPHA = 0.05
"""Type I error rate: how often a verdict may name a better arm where there is no difference."""
SAME = 1e-12
"""Differences that are nearer than this are the same."""


class Interval(NamedTuple):
    """Where a difference lies, with some confidence; infinite where the data allow no bound."""

    low: float
    high: float

    def excludes(self, margin: float) -> bool:
        """Whether every difference in it is further than `margin` from 0, on one side."""
        return self.low > margin or self.high < -margin

    def is_within(self, margin: float) -> bool:
        """Whether every difference in it is nearer than `margin` to 0."""
        return -margin < self.low and self.high < margin


class Sample(NamedTuple):
    """The paired differences as intervals need them.

    Attributes:
        pairs: at least 2.
        error: standard error of the mean; 0 where all pairs differ by the same.
        skewness: that the interval allows for (`analysis.skew`); 0: none, the interval is
            symmetric.
    """

    pairs: int
    mean: float
    error: float
    skewness: float = 0.0

    @property
    def t(self) -> float:
        """The mean in standard errors; where skewness is allowed for, the smaller of it and
        Hall's statistic. NaN without spread."""
        if self.error == 0:
            return math.nan
        return allow_for_skew(self.mean / self.error, self.skewness, self.pairs)

    def interval(self, limit: float) -> Interval:
        """All means from which t is at most `limit` away."""
        if math.isinf(limit):
            return Interval(-math.inf, math.inf)
        # The farther of both on either side: skewness widens an interval, never narrows it.
        up = max(limit, -inverse(-limit, self.skewness, self.pairs))
        down = max(limit, inverse(limit, self.skewness, self.pairs))
        return Interval(self.mean - down * self.error, self.mean + up * self.error)


def sample_of(differences: np.ndarray, skewness: float = 0.0) -> Sample:
    """What intervals need of (n,) differences, n at least 2."""
    values = np.asarray(differences, float)
    error = 0.0 if is_constant(values) else float(values.std(ddof=1)) / math.sqrt(len(values))
    return Sample(len(values), float(values.mean()), error, skewness)


@lru_cache(4096)
def t_limit(pairs: int, alpha: float) -> float:
    """Half the t interval's width in standard errors."""
    from scipy.special import stdtrit

    return float(stdtrit(pairs - 1, 1 - alpha / 2))


def t_p(sample: Sample) -> float:
    """The two-sided p of the paired t test; 1 without spread, which leaves it undefined."""
    from scipy.special import stdtr

    return 1.0 if sample.error == 0 else float(2 * stdtr(sample.pairs - 1, -abs(sample.t)))


def t_interval(differences: np.ndarray, alpha: float = ALPHA) -> Interval:
    """The paired t interval of the mean difference; valid for a number of pairs that was fixed
    before they were seen, and for differences that are about normal: of skewed ones it misses more
    (gamma with shape 2: 8 % at 10 pairs, in place of 5 %).

    Args:
        differences: (n,), n at least 2.
    """
    return sample_of(differences).interval(t_limit(len(differences), alpha))


def is_constant(differences: np.ndarray) -> bool:
    """Whether all pairs differ by the same, which leaves the spread unknown. The same
    counts of images give shares that differ in their last bits: 0.9 - 0.8 and 0.8 - 0.7."""
    return bool(np.ptp(differences) < SAME)
