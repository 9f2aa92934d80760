"""Judgements: what the runs of several arms allow one to say of each contrast between them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tl_engine.analysis.contrast import Contrast, contrast
from tl_engine.analysis.health import Health, health_of
from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.lost_runs import ArmEvidence, with_lost, withheld
from tl_engine.analysis.pooling import Asked, ComparisonEvidence, pairs_of_evidence
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.score_table import finals_of, pairs_frame, pairs_of
from tl_engine.analysis.verdict import Outcome, Verdict, decide_all, holm
from tl_engine.charts.arm_style import ArmKey
from tl_engine.metric import Metric
from tl_engine.report.arms import Arm, budgets_of, finished, why_none
from tl_engine.report.evidence_pool import EvidencePool
from tl_engine.report.question import Question
from tl_engine.report.run_facts import facts_of

if TYPE_CHECKING:
    import pandas as pd


class Judged(NamedTuple):
    """A contrast with its verdict, or with why there is none.

    Attributes:
        first, second: places of the arms among those that were given.
        pairs: their scores, as `analysis.score_table.pairs_of` returns them.
        refusal: why they cannot be compared, or not now; empty where they can.
        evidence: in all studies of the store, of which the pairs are; None where both arms have
            the same recipe.
        asked: what the study that is shown asked, with what was computed before; None where several
            studies are shown, or none of them asked it.
        health: what befell the runs of both arms; None where they have none.
        verdict: None where they cannot be compared.
        adjusted_p: the verdict's p, adjusted for the number of contrasts (Holm); NaN without one.
        family: comparisons among which Holm corrects.
    """

    first: int
    second: int
    contrast: Contrast
    pairs: pd.DataFrame
    refusal: str
    evidence: ComparisonEvidence | None
    asked: Asked | None
    health: Health | None
    verdict: Verdict | None = None
    adjusted_p: float = float("nan")
    family: int = 1


class _Member(NamedTuple):
    """A comparison of the family: its pairs, and the same with lost runs counted at chance."""

    pairs: Pairs
    at_chance: Pairs

    @property
    def has_lost(self) -> bool:
        """Whether pairs were added in which a run was lost."""
        return len(self.at_chance.differences) > len(self.pairs.differences)


def judge(
    arms: Sequence[Arm],
    scored: pd.DataFrame,
    history: pd.DataFrame,
    question: Question,
    *,
    any_budget: bool = False,
) -> list[Judged]:
    """Every contrast of the arms; those that can be compared are one family.

    Each comparison of the family is decided with its own evidence, shown or not, so that a verdict
    is the same wherever it stands. A verdict that lost runs, counted at chance, would change is
    withheld: the whole family is decided again with them.

    Args:
        scored: rows of `analysis.score_table.score_table`.
        history: of all their runs.
        any_budget: compare arms that cost differently, too.
    """
    pool = EvidencePool(arms, question.metric, any_budget)
    finals = finals_of(finished(arms, scored), question.metric)
    budgets, missing = budgets_of(arms, history), [why_none(arm) for arm in arms]
    judged, members, shown = [], [], set()
    for first, second in combinations(range(len(arms)), 2):
        titles, ids = (arms[first].title, arms[second].title), (pool.ids[first], pool.ids[second])
        recipes = arms[first].runs[0].recipe, arms[second].runs[0].recipe
        met = contrast(*recipes, (budgets[first], budgets[second]))
        refusal = met.refusal(*titles, any_budget=any_budget)
        refusal = refusal or missing[first] or missing[second]
        if ids[0] == ids[1]:
            evidence, pairs = None, _own_pairs(arms[first], arms[second], finals, question.metric)
            both = _own_evidence(arms[first], finals), _own_evidence(arms[second], finals)
        else:
            evidence, both = pool.evidence(*ids), pool.arms(ids, titles)
            pairs = _frame(evidence, question.metric)
        asked, health = pool.question(question.study, *ids), _health_of(*both)
        judged.append(Judged(first, second, met, pairs, refusal, evidence, asked, health))
        if not refusal:
            shown.add(frozenset(ids))
            members.append(_member(pairs_in(judged[-1], *titles, question), both, question))
    members += [_member(pool.pairs(*ids), pool.arms(ids), question) for ids in pool.hidden(shown)]
    return _with_verdicts(judged, members, pool.others, question)


def _member(pairs: Pairs, arms: tuple[ArmEvidence, ArmEvidence], question: Question) -> _Member:
    return _Member(pairs, with_lost(pairs, *arms, question.metric))


def _with_verdicts(
    judged: list[Judged], members: list[_Member], others: int, question: Question
) -> list[Judged]:
    """The contrasts with their verdicts.

    Args:
        members: of the family: those of the contrasts without a refusal in their order, then those
            that are not shown.
        others: comparisons of the family that are decided by another metric.
    """
    verdicts, adjusted = _verdicts_on([one.pairs for one in members], others, question)
    has_lost = any(one.has_lost for one in members)
    at_chance = [one.at_chance for one in members]
    again = _verdicts_on(at_chance, others, question)[0] if has_lost else verdicts
    results = iter(zip(members, verdicts, again, adjusted, strict=True))
    complete = []
    for one in judged:
        if not one.refusal:
            member, verdict, counted, p = next(results)
            if one.health:
                verdict, health = withheld(verdict, counted, one.health, is_counted=member.has_lost)
                one = one._replace(health=health)
            p = math.nan if verdict.outcome is Outcome.WITHHELD else p
            one = one._replace(verdict=verdict, adjusted_p=p, family=len(members) + others)
        complete.append(one)
    return complete


def _verdicts_on(
    family: list[Pairs], others: int, question: Question
) -> tuple[list[Verdict], list[float]]:
    """The verdicts on all comparisons of a family, and their p, adjusted.

    Args:
        others: comparisons of the family that are decided by another metric.
    """
    # Those of too few pairs will be looked at later, at what is left of the error rate.
    others += sum(len(one.differences) < LEAST_PAIRS for one in family)
    verdicts = decide_all(family, question.smallest, metric=question.metric, others=others)
    adjusted = holm(np.array([*(verdict.p for verdict in verdicts), *[1.0] * others]))
    return verdicts, [float(p) for p in adjusted]


def pairs_in(one: Judged, first: str, second: str, question: Question) -> Pairs:
    """The evidence of a contrast as its verdict takes it.

    Args:
        first, second: what the arms are called.
    """
    if one.evidence is not None:
        return pairs_of_evidence(one.evidence, first, second, question.metric.sign)
    gains, planned = one.pairs["gain"].to_numpy(float), question.planned or 0
    return Pairs(gains, first, second, planned, gains if len(gains) == planned else None)


def _frame(evidence: ComparisonEvidence, metric: Metric) -> pd.DataFrame:
    """A comparison's pairs in the order in which they were computed, in the columns of
    `analysis.score_table.pairs_of`."""
    seeds = [first.pair for first, _ in evidence.pairs]
    first, second = (np.array([pair[n].score for pair in evidence.pairs], float) for n in (0, 1))
    return pairs_frame(seeds, first, second, metric)


Finals = Mapping[ArmKey, "pd.Series"]


def _own_pairs(first: Arm, second: Arm, finals: Finals, metric: Metric) -> pd.DataFrame:
    """The pairs of two arms as they were chosen, without those of other studies."""
    import pandas as pd

    none = pd.Series(dtype=float)
    return pairs_of(finals.get(first.key, none), finals.get(second.key, none), metric)


def _own_evidence(arm: Arm, finals: Finals) -> ArmEvidence:
    """An arm as it was chosen, without what other studies have of its recipe."""
    scores = finals.get(arm.key)
    by_pair = {} if scores is None else dict(zip(scores.index.astype(int), scores, strict=True))
    classes = len(arm.runs[0].recipe.described_dataset.class_names)
    return ArmEvidence(facts_of(arm.title, arm.runs), by_pair, classes)


def _health_of(first: ArmEvidence, second: ArmEvidence) -> Health | None:
    """What befell the runs of the pairs that both arms have; of all where they have none."""
    both = first.facts.keys() & second.facts.keys() or first.facts.keys() | second.facts.keys()
    runs = [arm.facts[n] for arm in (first, second) for n in sorted(both & arm.facts.keys())]
    return health_of(runs) if runs else None
