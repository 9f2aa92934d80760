"""What the paired runs of two arms allow one to say: one of a few sentences, and no others.

The unit is the difference of two arms with the same seeds, pair by pair; `analysis.rule` says how
they are analysed. Of several contrasts each is decided at the alpha that Holm's procedure leaves
it, so that with no difference anywhere the chance of any claim stays 5 % (Holm 1979).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import ALPHA, SAME, Interval, is_constant
from tl_engine.analysis.power import MOST_PAIRS, MorePairs, more_pairs
from tl_engine.analysis.rule import Analysis, Pairs, Procedure, analyses, p_value
from tl_engine.metric import ACCURACY, Metric
from tl_engine.text import counted


class Outcome(StrEnum):
    """What can be said of two arms."""

    BETTER = "better"
    SMALL = "better, not shown to be by what matters"
    EQUIVALENT = "equivalent"
    OPEN = "not decided"
    LOOK = "a look, not evidence"
    WITHHELD = "withheld"


CLAIMS = (Outcome.BETTER, Outcome.SMALL)
"""Outcomes that name the better arm."""


class Verdict(NamedTuple):
    """A verdict with the evidence it rests on.

    Attributes:
        difference: mean gain of the first arm over the second in the pairs that decided; NaN
            without a pair.
        interval, procedure, allowing_for_skew (the interval were the differences skewed): None for
            a look.
        pairs: that decided: all that are in, or the planned ones where they alone decide.
        won, lost: of those, in which the first arm was ahead, and behind.
        p: raw, of no difference, of the whole rule. NaN for a look.
        alpha: how often such a verdict names a better arm where there is no difference.
        more_pairs: how many more would find the smallest difference that matters with a power of
            80 %; None unless the outcome is open.
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
    alpha: float = ALPHA
    more_pairs: MorePairs | None = None
    procedure: Procedure | None = None
    allowing_for_skew: Interval | None = None
    reason: str = ""


def decide(
    pairs: Pairs, smallest: float, *, metric: Metric = ACCURACY, alpha: float = ALPHA
) -> Verdict:
    """What the pairs that are in allow one to say.

    Args:
        smallest: the smallest difference that matters, in the metric's column, above 0.
        alpha: how often an arm may be named the better one where there is no difference.
    """
    possible = analyses(pairs)
    if not possible:
        return _look(np.asarray(pairs.differences, float))
    outcomes = [_outcome(analysis, smallest, alpha) for analysis in possible]
    # A claim stands, whichever analysis makes it; then equivalence; then what knows most pairs.
    ranks = [2 if outcome in CLAIMS else outcome is Outcome.EQUIVALENT for outcome in outcomes]
    chosen = ranks.index(max(ranks))
    analysis, outcome = possible[chosen], outcomes[chosen]
    verdict = Verdict(
        outcome=outcome,
        sentence="",
        difference=analysis.sample.mean,
        interval=analysis.interval(alpha),
        pairs=len(analysis.values),
        won=int((analysis.values > 0).sum()),
        lost=int((analysis.values < 0).sum()),
        p=min(each.p for each in possible),
        alpha=alpha,
        more_pairs=more_pairs(pairs, smallest, alpha) if outcome is Outcome.OPEN else None,
        procedure=analysis.procedure,
        allowing_for_skew=analysis.allowing_for_skew().interval(alpha),
    )
    return verdict._replace(
        reason=_reason(verdict, pairs, metric), sentence=_sentence(verdict, pairs, smallest, metric)
    )


def decide_all(
    family: Sequence[Pairs], smallest: float, *, metric: Metric = ACCURACY, others: int = 0
) -> list[Verdict]:
    """The verdicts of several contrasts, and none of `others` of the same family, by Holm's
    procedure: the smallest p is held against 5 % over the number of contrasts, the next against 5 %
    over one less, until one is not small enough; that one and the rest are decided at its alpha.
    Contrasts of too few pairs are looks, and do not count."""
    alphas = _alphas([p_value(pairs) for pairs in family], others)
    return [
        decide(pairs, smallest, metric=metric, alpha=alphas.get(place, ALPHA))
        for place, pairs in enumerate(family)
    ]


def _alphas(p_values: Sequence[float], others: int) -> dict[int, float]:
    """By place, at which alpha Holm's procedure decides; none where p is NaN."""
    order = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    alphas, left, is_over = {}, len(order) + others, False
    for p, place in order:
        alphas[place] = ALPHA / left
        is_over = is_over or p > alphas[place]
        left = left if is_over else left - 1
    return alphas


def holm(p: np.ndarray) -> np.ndarray:
    """Adjusted p (n,) of a family (Holm 1979); a NaN is no member of it and stays NaN."""
    values = np.asarray(p, float)
    members = np.flatnonzero(~np.isnan(values))
    order = members[np.argsort(values[members], kind="stable")]
    adjusted = np.full(len(values), np.nan)
    stepped = values[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(stepped), 1.0)
    return adjusted


def _look(values: np.ndarray) -> Verdict:
    """What is said of fewer pairs than any analysis takes."""
    mean = float(values.mean()) if len(values) else math.nan
    won, lost = int((values > 0).sum()), int((values < 0).sum())
    sentence = f"{counted(len(values), 'pair')}: a look, not evidence."
    return Verdict(Outcome.LOOK, sentence, mean, None, len(values), won, lost)


def _outcome(analysis: Analysis, smallest: float, alpha: float) -> Outcome:
    values, interval = analysis.values, analysis.interval(alpha)
    if is_constant(values) and abs(values[0]) >= SAME:
        return Outcome.OPEN
    if interval.excludes(smallest):
        return Outcome.BETTER
    if interval.excludes(0.0):
        return Outcome.SMALL
    is_near = analysis.equivalence_interval(alpha).is_within(smallest)
    return Outcome.EQUIVALENT if is_near else Outcome.OPEN


def _reason(verdict: Verdict, pairs: Pairs, metric: Metric) -> str:
    """What an open question's number of pairs depends on, and what skewed differences would
    change."""
    sentences, careful = [], verdict.allowing_for_skew
    if verdict.more_pairs:
        sentences.append(
            f"The number of pairs changes as they come in: {len(pairs.differences)} pairs estimate "
            "the spread roughly, hence the range, and an interval that may be looked at at any "
            "time is wider, so that looking early costs pairs."
        )
    if verdict.procedure in (Procedure.PLANNED_SKEWED, Procedure.SEQUENCE_SKEWED):
        sentences.append(
            "The differences are strongly skewed, and the interval allows for it (Hall)."
        )
    elif verdict.outcome in CLAIMS and careful and not careful.excludes(0.0):
        sentences.append(
            "This takes the differences to be about normal: were they skewed, the interval would "
            f"be {metric.gain(careful.low)} to {metric.gain(careful.high)} {metric.unit}, which "
            "includes 0."
        )
    return " ".join(sentences)


def _sentence(verdict: Verdict, pairs: Pairs, smallest: float, metric: Metric) -> str:
    ahead, behind, difference, won = pairs.first, pairs.second, verdict.difference, verdict.won
    low, high = verdict.interval or (-math.inf, math.inf)
    if verdict.outcome in CLAIMS and difference < 0:
        ahead, behind, difference, won = behind, ahead, -difference, verdict.lost
        low, high = -high, -low
    matters, by = metric.amount(smallest), f"{metric.gain(difference)} {metric.unit}"
    confidence = f"{100 * (1 - verdict.alpha):.3g} %"
    evidence = f"({confidence} interval {metric.gain(low)} to {metric.gain(high)}"
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
        return f"{ahead} and {behind} differ by less than {matters} {evidence})."
    return (
        f"Cannot tell yet: {ahead} minus {behind} is {by} {evidence}). "
        f"{_more_words(verdict.more_pairs)} would find a difference of {matters}."
    )


def _more_words(more: MorePairs | None) -> str:
    low, likely, high = more or MorePairs(1, 1, 1)
    if likely >= MOST_PAIRS:
        return f"No fewer than {MOST_PAIRS:,} more pairs"
    words = "About 1 more pair" if likely == 1 else f"About {likely:,} more pairs"
    return words if low == high else f"{words} ({low:,} to {high:,})"
