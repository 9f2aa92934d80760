"""What counts as evidence: which pairs, which plan and which family a comparison has.

A run is an observation of its recipe with the seeds of its pair. The same recipe with the same
seeds is one observation, in however many studies it stands, and the earliest computed one counts. A
comparison is an unordered pair of recipes; its evidence is every distinct pair of observations, in
the order in which they were computed. Whatever people do to studies (clone, extend, split, merge,
delete) changes neither; only the first question put to a comparison can have a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.rule import Pairs

Comparison = frozenset[str]
"""Two recipes, by what identifies them."""
Place = tuple[str, int]
"""A recipe and the number of a pair, which stands for its seeds."""


class Observed(NamedTuple):
    """A run of a Place that was computed to its end: when, in anything that sorts; id of its study;
    score in the deciding metric, after the last epoch; fingerprint of its images, empty where it
    was not noted."""

    recipe: str
    pair: int
    ended: str
    study: str
    score: float
    data: str = ""


ObservedPair = tuple[Observed, Observed]


class Asked(NamedTuple):
    """A study as a question.

    Attributes:
        study: its id; ids break ties of `created`.
        created: when, in anything that sorts.
        recipes: of its arms.
        pairs: numbers of the pairs that were planned.
        metric: the column that decides.
        computed_before: those of its runs whose evidence had been computed when it was created.
    """

    study: str
    created: str
    recipes: tuple[str, ...]
    pairs: tuple[int, ...]
    metric: str
    computed_before: frozenset[Place] = frozenset()

    def asks(self, comparison: Comparison) -> bool:
        """Whether both recipes are among its arms."""
        return comparison <= set(self.recipes)

    def had_seen(self, comparison: Comparison) -> int:
        """Planned pairs of which a run had been computed before it was created."""
        seen = {pair for recipe, pair in self.computed_before if recipe in comparison}
        return sum(pair in seen for pair in self.pairs)


class ComparisonEvidence(NamedTuple):
    """The evidence of one comparison.

    Attributes:
        pairs: every distinct pair (first, second), in the order in which they were computed.
        planned: number of pairs fixed before the first of them was computed; 0 without such.
        plan: observations of exactly these, once all are in; None otherwise.
        studies: ids of the studies that computed them first.
        copies: runs that stand in a further study and do not count again.
    """

    pairs: list[ObservedPair]
    planned: int
    plan: list[ObservedPair] | None
    studies: tuple[str, ...]
    copies: int


def comparisons_of(recipes: Iterable[str]) -> set[Comparison]:
    """Every unordered pair of different recipes."""
    return {frozenset(two) for two in combinations(sorted(set(recipes)), 2)}


def distinct(observed: Iterable[Observed]) -> dict[tuple[str, int, str], Observed]:
    """By recipe, pair and data the run that counts: the one that was computed first."""
    counting: dict[tuple[str, int, str], Observed] = {}
    for run in observed:
        first = counting.setdefault((run.recipe, run.pair, run.data), run)
        if (run.ended, run.study) < (first.ended, first.study):
            counting[run.recipe, run.pair, run.data] = run
    return counting


def evidence_of(
    first: str, second: str, asked: Sequence[Asked], observed: Iterable[Observed], metric: str
) -> ComparisonEvidence:
    """The evidence of one comparison by a metric.

    Args:
        asked: every study that there ever was, deleted ones too.
        observed: every run of the two recipes that was computed to its end; others are passed over.
    """
    comparison = frozenset((first, second))
    runs = [run for run in observed if run.recipe in comparison]
    pairs = _pairs(first, second, distinct(runs))
    in_pairs = list(chain.from_iterable(pairs))
    matched = {run[:2] for run in in_pairs}
    copies = sum(run[:2] in matched for run in runs) - len(in_pairs)
    studies = tuple(dict.fromkeys(run.study for run in in_pairs))
    numbers = plan_of(comparison, asked, metric)
    plan = _planned(pairs, numbers)
    return ComparisonEvidence(pairs, len(numbers), plan, studies, max(copies, 0))


def _pairs(
    first: str, second: str, counting: Mapping[tuple[str, int, str], Observed]
) -> list[ObservedPair]:
    """The pairs among the runs that count, in the order in which they were computed."""
    pairs = [
        (run, counting[second, pair, data])
        for (recipe, pair, data), run in counting.items()
        if recipe == first and (second, pair, data) in counting
    ]
    return sorted(pairs, key=lambda pair: (max(run.ended for run in pair), pair[0].pair))


def _planned(pairs: list[ObservedPair], numbers: tuple[int, ...]) -> list[ObservedPair] | None:
    """The pairs of these numbers; None where there are no numbers, or not all are in."""
    plan = [pair for pair in pairs if pair[0].pair in numbers]
    is_complete = bool(numbers) and {run.pair for run, _ in plan} == set(numbers)
    return plan if is_complete else None


def pairs_of_evidence(evidence: ComparisonEvidence, first: str, second: str, sign: int) -> Pairs:
    """The evidence of a comparison of arms of these names as a verdict takes it, `sign` being the
    metric's."""

    def gains(pairs: list[ObservedPair]) -> np.ndarray:
        return np.array([sign * (run.score - rival.score) for run, rival in pairs], float)

    plan = None if evidence.plan is None else gains(evidence.plan)
    return Pairs(gains(evidence.pairs), first, second, evidence.planned, plan)


def plan_of(comparison: Comparison, asked: Sequence[Asked], metric: str) -> tuple[int, ...]:
    """Numbers of the pairs that were fixed before any of them was computed, those of the first
    study of at least four pairs that asked, where it decides by this metric; else empty."""
    asking = [
        study for study in asked if study.asks(comparison) and len(study.pairs) >= LEAST_PAIRS
    ]
    if not asking:
        return ()
    # Of those of one second, the one that had seen less was first.
    first = min(asking, key=lambda study: (study.created, study.had_seen(comparison), study.study))
    return first.pairs if first.metric == metric and not first.had_seen(comparison) else ()


def family_of(
    shown: Iterable[Comparison], asked: Iterable[Asked], comparable: Callable[[Comparison], bool]
) -> set[Comparison]:
    """The comparisons among which Holm corrects: the shown ones, and all of studies that are
    connected with them, directly or through others, by asking the same comparison. So a question
    that is split over several studies keeps the correction of the whole."""
    family = set(filter(comparable, shown))
    together = [comparisons_of(study.recipes) for study in asked]
    while joining := {
        comparison
        for comparisons in together
        if family & comparisons
        for comparison in comparisons - family
        if comparable(comparison)
    }:
        family |= joining
    return family
