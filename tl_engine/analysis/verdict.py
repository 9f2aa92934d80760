"""What the paired runs of two arms allow one to say: one of a few sentences, and no others.

The unit is the difference of two arms with the same seeds, pair by pair. Where a number of pairs
was fixed beforehand, the planned analysis of them is a paired t interval; at every look before, and
of pairs that were added, it is a confidence sequence. Both share one error rate (`analysis.rule`).
Of several contrasts each is decided at the level that Holm's procedure leaves it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import (
    LEAST_PAIRS,
    MISTAKE,
    SAME,
    Interval,
    is_constant,
    sample_of,
    t_interval,
)
from tl_engine.analysis.power import (
    MOST_PAIRS,
    MorePairs,
    detectable,
    more_pairs,
    pairs_needed,
    power,
)
from tl_engine.analysis.rule import Analysis, Pairs, Procedure, analyses, p_value
from tl_engine.analysis.sequence import confidence_sequence
from tl_engine.metric import ACCURACY, Metric

__all__ = [
    "LEAST_PAIRS",
    "MISTAKE",
    "Interval",
    "MorePairs",
    "Outcome",
    "Pairs",
    "Procedure",
    "Verdict",
    "confidence_sequence",
    "decide",
    "decide_all",
    "detectable",
    "equivalence_p",
    "holm",
    "is_constant",
    "p_value",
    "pairs_needed",
    "power",
    "t_interval",
]


class Outcome(StrEnum):
    """What can be said of two arms."""

    BETTER = "better"
    SMALL = "better, not shown to be by what matters"
    EQUIVALENT = "equivalent"
    OPEN = "not decided"
    LOOK = "a look, not evidence"
    WITHHELD = "withheld"


class Verdict(NamedTuple):
    """A verdict with the evidence it rests on.

    Attributes:
        difference: mean gain of the first arm over the second in the pairs that decided; NaN
            without a pair.
        interval: None for a look.
        pairs: that decided: all that are in, or the planned ones where they alone decide.
        won, lost: of those, in which the first arm was ahead, and behind.
        p: raw, of no difference, of the whole rule. NaN for a look.
        mistake: how often a verdict like this one may be wrong where there is no difference.
        more_pairs: how many more would find the smallest difference that matters with a power of
            80 %; None unless the outcome is open.
        procedure: what decided; None for a look.
        allowing_for_skew: the interval were the differences skewed; None for a look.
        reason: what a reader may want to know of how sure this is; empty for nothing.
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
    more_pairs: MorePairs | None = None
    procedure: Procedure | None = None
    allowing_for_skew: Interval | None = None
    reason: str = ""


CLAIMS = (Outcome.BETTER, Outcome.SMALL)


def decide_all(
    family: Sequence[Pairs], smallest: float, *, metric: Metric = ACCURACY, others: int = 0
) -> list[Verdict]:
    """The verdicts of several contrasts, so that with no difference anywhere the chance of any
    claim stays 5 % (Holm 1979): the smallest p is held against 5 % over the number of contrasts,
    the next against 5 % over one less, until one is not small enough; that one and the rest are
    decided at its level. Contrasts of too few pairs are looks, and do not count.

    Args:
        others: further contrasts of the same family, none of them decided here.
    """
    told = [p_value(one) for one in family]
    order = sorted((p, place) for place, p in enumerate(told) if not math.isnan(p))
    levels, left, stopped = {}, len(order) + others, False
    for p, place in order:
        level = MISTAKE / left
        stopped = stopped or p > level
        levels[place], left = level, left if stopped else left - 1
    return [
        decide(one, smallest, metric=metric, mistake=levels.get(place, MISTAKE))
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
    pairs: Pairs, smallest: float, *, metric: Metric = ACCURACY, mistake: float = MISTAKE
) -> Verdict:
    """What the pairs that are in allow one to say.

    Args:
        smallest: the smallest difference that matters, in the metric's column, above 0.
        mistake: how often an arm may be said to be ahead where there is no difference.
    """
    made = analyses(pairs)
    if not made:
        values = np.asarray(pairs.differences, float)
        counted = "1 pair" if len(values) == 1 else f"{len(values)} pairs"
        mean = float(values.mean()) if len(values) else math.nan
        sentence = f"{counted}: a look, not evidence."
        return Verdict(Outcome.LOOK, sentence, mean, None, len(values), *_counts(values))
    outcomes = [_outcome(one, smallest, mistake) for one in made]
    # A claim stands, whichever analysis makes it; then equivalence; then what knows most pairs.
    ranks = [2 if one in CLAIMS else int(one is Outcome.EQUIVALENT) for one in outcomes]
    chosen = ranks.index(max(ranks))
    one, outcome = made[chosen], outcomes[chosen]
    more = None
    if outcome is Outcome.OPEN:
        is_known = not is_constant(np.asarray(pairs.differences, float))
        more = more_pairs(pairs, smallest, mistake) if is_known else MorePairs(1, 1, 1)
    verdict = Verdict(
        outcome,
        "",
        one.sample.mean,
        one.interval(mistake),
        len(one.values),
        *_counts(one.values),
        min(each.p for each in made),
        mistake,
        more,
        one.procedure,
        one.allowing_for_skew().interval(mistake),
    )
    verdict = verdict._replace(reason=_reason(verdict, pairs, metric))
    return verdict._replace(sentence=_sentence(verdict, pairs, smallest, metric))


def equivalence_p(differences: np.ndarray, margin: float) -> float:
    """The p of two one-sided t tests (Schuirmann 1987) that the mean difference is nearer than
    `margin` to 0."""
    from scipy.special import stdtr

    pairs, mean, error, _ = sample_of(differences)
    if error == 0:
        return 0.0 if abs(mean) < margin else 1.0
    above = 1 - float(stdtr(pairs - 1, (mean + margin) / error))
    below = float(stdtr(pairs - 1, (mean - margin) / error))
    return max(above, below)


def _counts(values: np.ndarray) -> tuple[int, int]:
    return int((values > 0).sum()), int((values < 0).sum())


def _outcome(analysis: Analysis, smallest: float, mistake: float) -> Outcome:
    values, interval = analysis.values, analysis.interval(mistake)
    if is_constant(values) and abs(values[0]) >= SAME:
        return Outcome.OPEN
    if interval.excludes(smallest):
        return Outcome.BETTER
    if interval.excludes(0.0):
        return Outcome.SMALL
    is_near = analysis.equivalence_interval(mistake).is_within(smallest)
    return Outcome.EQUIVALENT if is_near else Outcome.OPEN


def _reason(verdict: Verdict, pairs: Pairs, metric: Metric) -> str:
    """How sure the sentence is: what an open question's number of pairs depends on, and what skewed
    differences would change."""
    said = []
    if verdict.more_pairs:
        there = len(pairs.differences)
        said.append(
            f"The number of pairs changes as they come in: {there} pairs estimate the spread "
            "roughly, hence the range, and an interval that may be looked at at any time is wider, "
            "so that looking early costs pairs."
        )
    is_skewed = verdict.procedure in (Procedure.PLANNED_SKEWED, Procedure.SEQUENCE_SKEWED)
    careful = verdict.allowing_for_skew
    if is_skewed:
        said.append("The differences are strongly skewed, and the interval allows for it (Hall).")
    elif verdict.outcome in CLAIMS and careful and not careful.excludes(0.0):
        said.append(
            "This takes the differences to be about normal: were they skewed, the interval would "
            f"be {metric.gain(careful.low)} to {metric.gain(careful.high)} {metric.unit}, which "
            "includes 0."
        )
    return " ".join(said)


def _sentence(verdict: Verdict, pairs: Pairs, smallest: float, metric: Metric) -> str:
    first, second, difference, won = pairs.first, pairs.second, verdict.difference, verdict.won
    ahead, behind, interval = first, second, verdict.interval or Interval(-math.inf, math.inf)
    if verdict.outcome in CLAIMS and difference < 0:
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
    return (
        f"Cannot tell yet: {first} minus {second} is {by} {evidence}). "
        f"{_more_words(verdict.more_pairs)} would find a difference of {matters}."
    )


def _more_words(more: MorePairs | None) -> str:
    low, likely, high = more or MorePairs(1, 1, 1)
    if likely >= MOST_PAIRS:
        return f"No fewer than {MOST_PAIRS:,} more pairs"
    words = "About 1 more pair" if likely == 1 else f"About {likely:,} more pairs"
    return words if low == high else f"{words} ({low:,} to {high:,})"
