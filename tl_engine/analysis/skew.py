"""Skewed differences: when they are, and a statistic that allows for it.

The t interval assumes differences that are about normal. A long tail on one side makes it miss on
the other: the tail is seldom in the sample, so that mean and spread are both too small. Hall (1992,
"On the removal of skewness by transformation") transforms the mean so that its skewness cancels:
with w the mean over the standard deviation, n pairs and skewness k,
w + k w^2/3 + k^2 w^3/27 + k/(6n), which is monotone in w and has a closed inverse.
"""

from __future__ import annotations

import math

import numpy as np

STRONG = 2.2
"""Standard errors of the skewness from which on it is strong, up to 15 pairs: about the lowest at
which the power that docs/verdicts.md promises for normal differences is kept. Of more pairs fewer
are enough, by the square of their number, for there the allowance costs little power."""
FEW_PAIRS = 15


def skewness_of(differences: np.ndarray) -> float:
    """The sample skewness G1 of (n,) differences, n at least 3, corrected for its bias (Joanes and
    Gill 1998); 0 without spread."""
    values = np.asarray(differences, float)
    pairs, centred = len(values), values - values.mean()
    largest = float(np.abs(centred).max())
    if largest == 0:
        return 0.0
    scaled = centred / largest
    biased = float((scaled**3).mean() / (scaled**2).mean() ** 1.5)
    return biased * math.sqrt(pairs * (pairs - 1)) / (pairs - 2)


def is_strong(skewness: float, pairs: int) -> bool:
    """Whether a sample skewness is larger than normal differences would often have: over 1.51 at
    10 pairs, 0.63 at 20, 0.23 at 30."""
    error = math.sqrt(6 * pairs * (pairs - 1) / ((pairs - 2) * (pairs + 1) * (pairs + 3)))
    return abs(skewness) > STRONG * min(1.0, FEW_PAIRS / pairs) ** 2 * error


def allow_for_skew(t: float, skewness: float, pairs: int) -> float:
    """A t statistic that is nearer to 0 where skewness makes it too large: the smaller of it and
    Hall's, or 0 where the two disagree on the side."""
    root = math.sqrt(pairs)
    w = t / root
    hall = root * (w + skewness * w**2 / 3 + skewness**2 * w**3 / 27 + skewness / (6 * pairs))
    return 0.0 if t * hall <= 0 else math.copysign(min(abs(t), abs(hall)), t)


def inverse(t: float, skewness: float, pairs: int) -> float:
    """The t whose Hall statistic is the one given."""
    if abs(skewness) < 1e-6:
        return t
    root = math.sqrt(pairs)
    inside = 1 + skewness * (t / root - skewness / (6 * pairs))
    return root * 3 / skewness * (math.cbrt(inside) - 1)
