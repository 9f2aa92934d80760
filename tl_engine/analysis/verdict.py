"""What the paired runs of two arms allow one to say: one of a few sentences, and no others.

The unit is the difference of two arms with the same seeds, pair by pair. Where the number of pairs
was fixed beforehand and all are in, the interval is the paired t interval; before that, and where
pairs were added after a look, it is a confidence sequence, which may be looked at as often as one
likes.
"""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

import numpy as np

LEAST_PAIRS = 4
"""Fewer are a look: with three, only differences of 3.3 standard deviations would be found."""
MISTAKE = 0.05
"""How often a verdict may be wrong where there is no difference."""
POWER = 0.8
PRIOR_VARIANCE = 1.0
"""Of the difference in standard deviations, before it is seen: decides where the sequence is
narrowest, never whether it is valid."""
MOST_PAIRS = 10_000


class Outcome(StrEnum):
    """What can be said of two arms."""

    BETTER = "better"
    SMALL = "better, not shown to be by what matters"
    EQUIVALENT = "equivalent"
    OPEN = "not decided"
    LOOK = "a look, not evidence"


class Interval(NamedTuple):
    """Where a difference lies, with 95 % confidence; infinite where nothing can be said."""

    low: float
    high: float

    def excludes(self, margin: float) -> bool:
        """Whether every difference in it is further than `margin` from 0, on one side."""
        return self.low > margin or self.high < -margin

    def is_within(self, margin: float) -> bool:
        """Whether every difference in it is nearer than `margin` to 0."""
        return -margin < self.low and self.high < margin


class Verdict(NamedTuple):
    """A verdict with the evidence it rests on.

    Attributes:
        difference: mean of first minus second over the pairs, as a share; NaN without a pair.
        interval: None for a look.
        won, lost: pairs in which the first arm was ahead, and behind.
        more_pairs: how many more would find the smallest difference that matters with a power of
            80 %, at the spread seen so far; None unless the outcome is open.
    """

    outcome: Outcome
    sentence: str
    difference: float
    interval: Interval | None
    pairs: int
    won: int
    lost: int
    more_pairs: int | None = None


def decide(
    differences: np.ndarray, first: str, second: str, smallest: float, *, all_in: bool
) -> Verdict:
    """What the pairs that are in allow one to say.

    Args:
        differences: (n,) first minus second per pair, as shares.
        first, second: what the arms are called.
        smallest: the smallest difference that matters, as a share, above 0.
        all_in: the number of pairs was fixed before the first run, and all of them are here.
    """
    values = np.asarray(differences, float)
    pairs, won, lost = len(values), int((values > 0).sum()), int((values < 0).sum())
    mean = float(values.mean()) if pairs else math.nan
    if pairs < LEAST_PAIRS:
        counted = "1 pair" if pairs == 1 else f"{pairs} pairs"
        sentence = f"{counted}: a look, not evidence."
        return Verdict(Outcome.LOOK, sentence, mean, None, pairs, won, lost)
    interval = t_interval(values) if all_in else confidence_sequence(values)
    outcome = _outcome(values, interval, smallest, all_in)
    more = None
    if outcome is Outcome.OPEN:
        spread = float(values.std(ddof=1)) or smallest
        more = max(pairs_needed(smallest / spread) - pairs, 1)
    verdict = Verdict(outcome, "", mean, interval, pairs, won, lost, more)
    return verdict._replace(sentence=_sentence(verdict, interval, first, second, smallest))


def t_interval(differences: np.ndarray) -> Interval:
    """The 95 % paired t interval of the mean difference; valid for a number of pairs that was fixed
    before they were seen.

    Args:
        differences: (n,), n at least 2.
    """
    from scipy.special import stdtrit

    mean, error = _mean_and_error(differences)
    half = float(stdtrit(len(differences) - 1, 1 - MISTAKE / 2)) * error
    return Interval(mean - half, mean + half)


def confidence_sequence(differences: np.ndarray) -> Interval:
    """The interval of a 95 % confidence sequence of the mean difference: it holds at all numbers of
    pairs at once, whoever looks how often. Lai 1976, in the closed form of Wang and Ramdas 2024
    (arXiv 2310.03722) with a normal prior on the effect.

    Args:
        differences: (n,), n at least 2.
    """
    pairs = len(differences)
    mean, error = _mean_and_error(differences)
    ratio = 1 / (1 + pairs * PRIOR_VARIANCE)
    quantile = (ratio * MISTAKE**2) ** (1 / pairs)
    if quantile <= ratio:
        return Interval(-math.inf, math.inf)
    half = error * math.sqrt((pairs - 1) * (1 - quantile) / (quantile - ratio))
    return Interval(mean - half, mean + half)


def equivalence_p(differences: np.ndarray, margin: float) -> float:
    """The p of two one-sided t tests (Schuirmann 1987) that the mean difference is nearer than
    `margin` to 0."""
    from scipy.special import stdtr

    mean, error = _mean_and_error(differences)
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    freedom = len(differences) - 1
    above = 1 - float(stdtr(freedom, (mean + margin) / error))
    below = float(stdtr(freedom, (mean - margin) / error))
    return max(above, below)


def power(effect: float, pairs: int) -> float:
    """How often the t interval of so many pairs excludes 0, on either side.

    Args:
        effect: the true difference over the standard deviation of the paired differences.
    """
    from scipy.special import nctdtr, stdtrit

    freedom, shift = pairs - 1, effect * math.sqrt(pairs)
    limit = float(stdtrit(freedom, 1 - MISTAKE / 2))
    return float(1 - nctdtr(freedom, shift, limit) + nctdtr(freedom, shift, -limit))


def pairs_needed(effect: float) -> int:
    """The fewest pairs that find an effect (above 0, as in `power`) with a power of 80 %; at most
    10,000."""
    low, high = 1, 2
    while high < MOST_PAIRS and power(effect, high) < POWER:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if power(effect, middle) < POWER else (low, middle)
    return min(high, MOST_PAIRS)


def detectable(spread: float, pairs: int) -> float:
    """The smallest difference that so many pairs find with a power of 80 %.

    Args:
        spread: standard deviation of the paired differences, in any unit.
        pairs: at least 2.

    Returns:
        In the unit of the spread.
    """
    low, high = 0.0, 100.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if power(middle, pairs) < POWER else (low, middle)
    return spread * high


def _mean_and_error(differences: np.ndarray) -> tuple[float, float]:
    values = np.asarray(differences, float)
    return float(values.mean()), float(values.std(ddof=1)) / math.sqrt(len(values))


def _outcome(values: np.ndarray, interval: Interval, smallest: float, all_in: bool) -> Outcome:
    if np.ptp(values) == 0 and values[0] != 0:
        return Outcome.OPEN  # the same difference each time says nothing of how it spreads
    if interval.excludes(smallest):
        return Outcome.BETTER
    if interval.excludes(0.0):
        return Outcome.SMALL
    near = equivalence_p(values, smallest) < MISTAKE if all_in else interval.is_within(smallest)
    return Outcome.EQUIVALENT if near else Outcome.OPEN


def _sentence(
    verdict: Verdict, interval: Interval, first: str, second: str, smallest: float
) -> str:
    ahead, behind, difference, won = first, second, verdict.difference, verdict.won
    if verdict.outcome in (Outcome.BETTER, Outcome.SMALL) and difference < 0:
        ahead, behind, difference, won = second, first, -difference, verdict.lost
        interval = Interval(-interval.high, -interval.low)
    matters = f"{100 * smallest:.2g} points"
    evidence = f"(95 % interval {_points(interval.low)} to {_points(interval.high)}"
    if verdict.outcome is Outcome.BETTER:
        return (
            f"{ahead} is better than {behind}: {_points(difference)} points {evidence}; ahead in "
            f"{won} of {verdict.pairs} pairs), more than the {matters} that matter."
        )
    if verdict.outcome is Outcome.SMALL:
        return (
            f"{ahead} is ahead of {behind} by {_points(difference)} points {evidence}): real, but "
            f"not shown to be more than the {matters} that matter."
        )
    if verdict.outcome is Outcome.EQUIVALENT:
        return f"{first} and {second} differ by less than {matters} {evidence})."
    return (
        f"Cannot tell yet: {first} minus {second} is {_points(difference)} points {evidence}). "
        f"About {verdict.more_pairs:,} more pairs would find a difference of {matters}."
    )


def _points(share: float) -> str:
    if not math.isfinite(share):
        return "+∞" if share > 0 else "-∞"
    said = f"{100 * share:+.2f}"
    return "0.00" if said in ("+0.00", "-0.00") else said
