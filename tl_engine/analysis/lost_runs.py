"""Runs that were lost: counted at chance, and a verdict that this changes is withheld.

A run that failed is an outcome of its arm; without it the survivors decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.health import FAILED, LOST, Health, Level, RunFacts
from tl_engine.analysis.rule import AT_END, Pairs
from tl_engine.analysis.verdict import CLAIMS, Outcome, Verdict
from tl_engine.metric import LOSS, Metric


class ArmEvidence(NamedTuple):
    """One arm of a comparison as evidence: by pair the facts of the run that counts, and scores of
    those that finished; the number of its dataset's classes."""

    facts: Mapping[int, RunFacts]
    scores: Mapping[int, float]
    classes: int


def with_lost(pairs: Pairs, first: ArmEvidence, second: ArmEvidence, metric: Metric) -> Pairs:
    """The pairs of which both runs have a score with those added in which a run was lost, at
    chance, judged by the same plan."""
    lost = _gains_at_chance((first, second), metric)
    if not len(lost):
        return pairs
    gains = np.concatenate([pairs.differences, lost])
    plan = pairs.planned_differences
    if plan is None and len(gains) == pairs.planned:  # with them all planned pairs are in
        plan = gains
    return pairs._replace(differences=gains, planned_differences=plan)


def _gains_at_chance(arms: tuple[ArmEvidence, ArmEvidence], metric: Metric) -> np.ndarray:
    """Gains (n,) of the first arm in the pairs in which a run was lost, in order of the pairs.

    A pair in which one run finished and the other was lost counts; so does one in which both
    failed, as no difference. A pair that was stopped, damaged or deleted in both arms is left out,
    and so is one with a run that is still coming.
    """
    done = arms[0].scores.keys() & arms[1].scores.keys()
    worst, gains = min if metric.sign > 0 else max, []
    finished = [*arms[0].scores.values(), *arms[1].scores.values()]
    # A guess, or the worst that finished where that is worse.
    chances = [worst([chance_score(metric, arm.classes), *finished]) for arm in arms]
    for pair in sorted((arms[0].facts.keys() & arms[1].facts.keys()) - done):
        scores = _score(arms[0], pair, chances[0]), _score(arms[1], pair, chances[1])
        if _is_outcome(arms, pair) and not any(map(math.isnan, scores)):
            gains.append(metric.sign * (scores[0] - scores[1]))
    return np.array(gains, float)


def _is_outcome(arms: tuple[ArmEvidence, ArmEvidence], pair: int) -> bool:
    """Whether one of a pair's runs finished or failed."""
    return any(pair in arm.scores or arm.facts[pair].state == FAILED for arm in arms)


def _score(arm: ArmEvidence, pair: int, chance: float) -> float:
    """That of a run, chance where it was lost; NaN while it is still coming."""
    return arm.scores.get(pair, chance if arm.facts[pair].state in LOST else math.nan)


def chance_score(metric: Metric, classes: int) -> float:
    """What a guess among the classes scores: 1 / classes, or a loss of ln(classes)."""
    return math.log(classes) if metric.name == LOSS.name else 1 / classes


def withheld(
    verdict: Verdict, counted: Verdict, health: Health, *, is_counted: bool
) -> tuple[Verdict, Health]:
    """The verdict of the pairs that finished, or none where the one that counted lost runs at
    chance, in all comparisons of the family, has another outcome.

    Args:
        is_counted: whether pairs of this comparison were added; else only its share of the error
            may have changed.
    """
    if verdict.outcome is Outcome.LOOK:
        return verdict, health
    rests_on_less = _rests_on_less(counted, verdict)
    if _claim(verdict) == _claim(counted) and not rests_on_less:
        return verdict, _with_reassurance(health, is_counted)
    lost = health.lost if is_counted else ("runs of other comparisons of the family were lost",)
    alone = f"the {counted.pairs} planned pairs alone decide. " if rests_on_less else ""
    sentence = (
        f"Withheld: {'; '.join(lost)}. Without them: {verdict.sentence} Counted at chance: "
        f"{alone}{counted.sentence}"
    )
    nothing = verdict._replace(interval=None, p=math.nan, more_pairs=None)
    return nothing._replace(outcome=Outcome.WITHHELD, sentence=sentence), health


def _rests_on_less(counted: Verdict, verdict: Verdict) -> bool:
    """Whether only the planned pairs, of which none was lost, still show what all pairs did."""
    is_at_end = counted.procedure in AT_END and verdict.procedure not in AT_END
    return is_at_end and counted.pairs < verdict.pairs


def _with_reassurance(health: Health, is_counted: bool) -> Health:
    """The health, where runs were lost, with the finding that they do not change the verdict."""
    if not health.lost:
        return health
    same = "The verdict is the same with them counted at chance."
    none = "None is counted: the other runs of their pairs say nothing, or are still coming."
    return health.with_finding(Level.PROBLEM, same if is_counted else none)


def _claim(verdict: Verdict) -> tuple[Outcome, bool]:
    """The outcome, and whether the second arm is the one that it names."""
    return verdict.outcome, verdict.outcome in CLAIMS and verdict.difference < 0
