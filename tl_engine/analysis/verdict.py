"""What the paired runs of two arms allow one to say: one of a few sentences, and no others.

The unit is the difference of two arms with the same seeds, pair by pair. Where the number of pairs
was fixed beforehand and all are in, the interval is the paired t interval; before that, and where
pairs were added after a look, it is a confidence sequence, which may be looked at as often as one
likes. Of several contrasts each is decided at the level that Holm's procedure leaves it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tl_engine.metric import ACCURACY, Metric

LEAST_PAIRS = 4
"""Fewer are a look: with three, only differences of 3.3 standard deviations would be found."""
MISTAKE = 0.05
"""How often a verdict may be wrong where there is no difference."""
POWER = 0.8
PRIOR_VARIANCE = 1.0
"""Of the difference in standard deviations, before it is seen: decides where the sequence is
narrowest, never whether it is valid."""
MOST_PAIRS = 10_000
SAME = 1e-12
"""Differences that are nearer than this are the same."""


class Outcome(StrEnum):
    """What can be said of two arms."""

    BETTER = "better"
    SMALL = "better, not shown to be by what matters"
    EQUIVALENT = "equivalent"
    OPEN = "not decided"
    LOOK = "a look, not evidence"
    WITHHELD = "withheld"


class Interval(NamedTuple):
    """Where a difference lies, with the confidence asked for; infinite where nothing can be
    said."""

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
        difference: mean gain of the first arm over the second; NaN without a pair.
        interval: None for a look.
        won, lost: pairs in which the first arm was ahead, and behind.
        p: raw, of no difference; always valid while pairs are coming. NaN for a look.
        mistake: how often a verdict like this one may be wrong where there is no difference.
        more_pairs: how many more would find the smallest difference that matters with a power of
            80 %, at the spread seen so far and judged at any time; None unless the outcome is open.
    """

    outcome: Outcome
    sentence: str
    difference: float
    interval: Interval | None
    pairs: int
    won: int
    lost: int
    p: float = math.nan
    mistake: float = MISTAKE
    more_pairs: int | None = None


class Pairs(NamedTuple):
    """What is known of one contrast.

    Attributes:
        differences: (n,) gain of the first arm over the second, every distinct pair in the order in
            which they were computed.
        first, second: what the arms are called.
        planned: pairs fixed before the first was seen; 0 without such.
        planned_differences: of exactly those, once all are in; None otherwise.
    """

    differences: np.ndarray
    first: str
    second: str
    planned: int = 0
    planned_differences: np.ndarray | None = None

    def is_planned(self, all_in: bool | None) -> bool:
        """Whether the t interval judges it: nothing but the planned pairs is in."""
        if all_in is not None:
            return all_in
        plan = self.planned_differences
        return plan is not None and len(plan) == len(self.differences)


def decide_all(
    family: Sequence[Pairs],
    smallest: float,
    *,
    all_in: bool | None = None,
    metric: Metric = ACCURACY,
    others: int = 0,
) -> list[Verdict]:
    """The verdicts of several contrasts, so that with no difference anywhere the chance of any
    claim stays 5 % (Holm 1979): the smallest p is held against 5 % over the number of contrasts,
    the next against 5 % over one less, until one is not small enough; that one and the rest are
    decided at its level. Contrasts of too few pairs are looks, and do not count.

    Args:
        others: further contrasts of the family that are not among these.
    """
    told = [p_value(one.differences, all_in=one.is_planned(all_in)) for one in family]
    order = sorted((p, place) for place, p in enumerate(told) if not math.isnan(p))
    levels, left, stopped = {}, len(order) + others, False
    for p, place in order:
        level = MISTAKE / left
        stopped = stopped or p > level
        levels[place], left = level, left if stopped else left - 1
    return [
        decide(
            one.differences,
            one.first,
            one.second,
            smallest,
            all_in=one.is_planned(all_in),
            metric=metric,
            mistake=levels.get(place, MISTAKE),
        )
        for place, one in enumerate(family)
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


def decide(
    differences: np.ndarray,
    first: str,
    second: str,
    smallest: float,
    *,
    all_in: bool,
    metric: Metric = ACCURACY,
    mistake: float = MISTAKE,
) -> Verdict:
    """What the pairs that are in allow one to say.

    Args:
        differences: (n,) gain of the first arm over the second per pair, in the metric's column.
        first, second: what the arms are called.
        smallest: the smallest difference that matters, in the metric's column, above 0.
        all_in: the number of pairs was fixed before the first run, and all of them are here.
        mistake: how often an arm may be said to be ahead where there is no difference.
    """
    values = np.asarray(differences, float)
    pairs, won, lost = len(values), int((values > 0).sum()), int((values < 0).sum())
    mean = float(values.mean()) if pairs else math.nan
    if pairs < LEAST_PAIRS:
        counted = "1 pair" if pairs == 1 else f"{pairs} pairs"
        sentence = f"{counted}: a look, not evidence."
        return Verdict(Outcome.LOOK, sentence, mean, None, pairs, won, lost)
    interval = (t_interval if all_in else confidence_sequence)(values, mistake)
    outcome = _outcome(values, interval, smallest, all_in, mistake)
    more = None
    if outcome is Outcome.OPEN:
        spread = smallest if is_constant(values) else float(values.std(ddof=1))
        # Pairs that are added now are judged by the sequence, whatever was planned.
        needed = pairs_needed(smallest / spread, mistake=mistake, at_any_time=True)
        more = max(needed - pairs, 1)
    p = p_value(values, all_in=all_in)
    verdict = Verdict(outcome, "", mean, interval, pairs, won, lost, p, mistake, more)
    return verdict._replace(sentence=_sentence(verdict, interval, first, second, smallest, metric))


def p_value(differences: np.ndarray, *, all_in: bool) -> float:
    """The p of no difference: of the paired t test, or always valid while pairs are coming (one
    over the e-value of Wang and Ramdas 2024). NaN under 4 pairs; 1 where all pairs differ by the
    same, which says nothing of how they spread."""
    from scipy.special import stdtr

    pairs = len(differences)
    if pairs < LEAST_PAIRS:
        return math.nan
    mean, error = _mean_and_error(differences)
    if error == 0:
        return 1.0
    t, freedom = mean / error, pairs - 1
    if all_in:
        return float(2 * stdtr(freedom, -abs(t)))
    ratio = 1 / (1 + pairs * PRIOR_VARIANCE)
    log_e = 0.5 * math.log(ratio) + pairs / 2 * (
        math.log1p(t**2 / freedom) - math.log1p(ratio * t**2 / freedom)
    )
    return min(1.0, math.exp(-log_e))


def t_interval(differences: np.ndarray, mistake: float = MISTAKE) -> Interval:
    """The paired t interval of the mean difference; valid for a number of pairs that was fixed
    before they were seen.

    Args:
        differences: (n,), n at least 2.
    """
    from scipy.special import stdtrit

    mean, error = _mean_and_error(differences)
    half = float(stdtrit(len(differences) - 1, 1 - mistake / 2)) * error
    return Interval(mean - half, mean + half)


def confidence_sequence(differences: np.ndarray, mistake: float = MISTAKE) -> Interval:
    """The interval of a confidence sequence of the mean difference: it holds at all numbers of
    pairs at once, whoever looks how often. Lai 1976, in the closed form of Wang and Ramdas 2024
    (arXiv 2310.03722) with a normal prior on the effect.

    Args:
        differences: (n,), n at least 2.
    """
    mean, error = _mean_and_error(differences)
    limit = _sequence_limit(len(differences), mistake)
    half = math.inf if math.isinf(limit) else error * limit
    return Interval(mean - half, mean + half)


def is_constant(differences: np.ndarray) -> bool:
    """Whether all pairs differ by the same, which says nothing of how differences spread. The same
    counts of images give shares that differ in their last bits: 0.9 - 0.8 and 0.8 - 0.7."""
    return bool(np.ptp(differences) < SAME)


def _sequence_limit(pairs: int, mistake: float) -> float:
    """Half the sequence's width in standard errors; infinite where nothing can be said yet."""
    ratio = 1 / (1 + pairs * PRIOR_VARIANCE)
    quantile = (ratio * mistake**2) ** (1 / pairs)
    if quantile <= ratio:
        return math.inf
    return math.sqrt((pairs - 1) * (1 - quantile) / (quantile - ratio))


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


def power(
    effect: float, pairs: int, *, mistake: float = MISTAKE, at_any_time: bool = False
) -> float:
    """How often the interval of so many pairs excludes 0, on either side.

    Args:
        effect: the true difference over the standard deviation of the paired differences.
        mistake: one minus the interval's confidence.
        at_any_time: of the confidence sequence; else of the t interval.
    """
    from scipy.special import nctdtr, stdtrit

    freedom, shift = pairs - 1, effect * math.sqrt(pairs)
    if at_any_time:
        limit = _sequence_limit(pairs, mistake)
    else:
        limit = float(stdtrit(freedom, 1 - mistake / 2))
    if math.isinf(limit):
        return 0.0
    other_side = float(nctdtr(freedom, shift, -limit))
    # scipy gives NaN where the other side is too unlikely to be told from nothing.
    return float(1 - nctdtr(freedom, shift, limit)) + (other_side if other_side > 0 else 0.0)


def pairs_needed(effect: float, *, mistake: float = MISTAKE, at_any_time: bool = False) -> int:
    """The fewest pairs that find an effect (above 0) with a power of 80 %, arguments as in `power`;
    at most 10,000."""

    def is_enough(pairs: int) -> bool:
        return power(effect, pairs, mistake=mistake, at_any_time=at_any_time) >= POWER

    low, high = 1, 2
    while high < MOST_PAIRS and not is_enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_enough(middle) else (middle, high)
    return min(high, MOST_PAIRS)


def detectable(spread: float, pairs: int, mistake: float = MISTAKE) -> float:
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
        # Of effects so large that scipy has no number the power is 1.
        is_too_small = power(middle, pairs, mistake=mistake) < POWER
        low, high = (middle, high) if is_too_small else (low, middle)
    return spread * high


def _mean_and_error(differences: np.ndarray) -> tuple[float, float]:
    values = np.asarray(differences, float)
    error = 0.0 if is_constant(values) else float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()), error


def _outcome(
    values: np.ndarray, interval: Interval, smallest: float, all_in: bool, mistake: float
) -> Outcome:
    if is_constant(values) and abs(values[0]) >= SAME:
        return Outcome.OPEN
    if interval.excludes(smallest):
        return Outcome.BETTER
    if interval.excludes(0.0):
        return Outcome.SMALL
    near = equivalence_p(values, smallest) < mistake if all_in else interval.is_within(smallest)
    return Outcome.EQUIVALENT if near else Outcome.OPEN


def _sentence(
    verdict: Verdict, interval: Interval, first: str, second: str, smallest: float, metric: Metric
) -> str:
    ahead, behind, difference, won = first, second, verdict.difference, verdict.won
    if verdict.outcome in (Outcome.BETTER, Outcome.SMALL) and difference < 0:
        ahead, behind, difference, won = second, first, -difference, verdict.lost
        interval = Interval(-interval.high, -interval.low)
    matters, by = metric.amount(smallest), f"{metric.gain(difference)} {metric.unit}"
    confidence = f"{100 * (1 - verdict.mistake):.3g} %"
    evidence = f"({confidence} interval {metric.gain(interval.low)} to {metric.gain(interval.high)}"
    if verdict.outcome is Outcome.BETTER:
        return (
            f"{ahead} is better than {behind}: {by} {evidence}; ahead in {won} of {verdict.pairs} "
            f"pairs), more than the {matters} that matter."
        )
    if verdict.outcome is Outcome.SMALL:
        return (
            f"{ahead} is ahead of {behind} by {by} {evidence}): real, but not shown to be more "
            f"than the {matters} that matter."
        )
    if verdict.outcome is Outcome.EQUIVALENT:
        return f"{first} and {second} differ by less than {matters} {evidence})."
    more = "1 more pair" if verdict.more_pairs == 1 else f"{verdict.more_pairs:,} more pairs"
    return (
        f"Cannot tell yet: {first} minus {second} is {by} {evidence}). About {more} would find a "
        f"difference of {matters}."
    )
