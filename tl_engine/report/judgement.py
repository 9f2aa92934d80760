"""Judgements: what the runs of several arms allow one to say of each contrast between them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.analysis.contrast import Contrast, contrast
from tl_engine.analysis.health import Health, health_of
from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.lost_runs import ArmEvidence, with_lost, withheld
from tl_engine.analysis.pooling import Asked, ComparisonEvidence, pairs_of_evidence
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.score_table import finals_of, pairs_frame, pairs_of
from tl_engine.analysis.verdict import Outcome, Verdict, decide_all, holm
from tl_engine.metric import Metric
from tl_engine.report.arms import Arm, Question, budgets_of, finished, why_none
from tl_engine.report.evidence_pool import EvidencePool, facts_of


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

    @property
    def studies(self) -> tuple[str, ...]:
        """Ids of the studies that computed its evidence first; empty without evidence."""
        return self.evidence.studies if self.evidence else ()


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
    metric = question.metric
    pool = EvidencePool(arms, metric, any_budget)
    finals, none = finals_of(finished(arms, scored), metric), pd.Series(dtype=float)
    own = [finals.get(arm.key, none) for arm in arms]
    budgets, missing = budgets_of(arms, history), [why_none(arm) for arm in arms]
    judged, members, shown = [], [], set()
    for first, second in combinations(range(len(arms)), 2):
        titles, ids = (arms[first].title, arms[second].title), (pool.ids[first], pool.ids[second])
        met = contrast(arms[first].recipe, arms[second].recipe, (budgets[first], budgets[second]))
        refusal = met.refusal(*titles, any_budget=any_budget)
        refusal = refusal or missing[first] or missing[second]
        if ids[0] == ids[1]:
            evidence, pairs = None, pairs_of(own[first], own[second], metric)
            both = _own(arms[first], own[first]), _own(arms[second], own[second])
        else:
            evidence, both = pool.evidence(*ids), pool.arms(ids, titles)
            pairs = _frame(evidence, metric)
        asked, health = pool.question(question.study, *ids), _health_of(*both)
        judged.append(Judged(first, second, met, pairs, refusal, evidence, asked, health))
        if not refusal:
            shown.add(frozenset(ids))
            members.append((pairs_in(judged[-1], *titles, question), both))
    members += [
        (pairs_of_evidence(pool.evidence(*ids), *ids, metric.sign), pool.arms(ids))
        for ids in pool.hidden(shown)
    ]
    family = [(pairs, with_lost(pairs, *both, metric)) for pairs, both in members]
    return _with_verdicts(judged, family, pool.others, question)


def _with_verdicts(
    judged: list[Judged], family: list[tuple[Pairs, Pairs]], others: int, question: Question
) -> list[Judged]:
    """The contrasts with their verdicts.

    Args:
        family: pairs, and the same with lost runs counted at chance, of the contrasts without a
            refusal in their order, then of the comparisons that are not shown.
        others: comparisons of the family that are decided by another metric.
    """
    verdicts, adjusted = _verdicts_on([pairs for pairs, _ in family], others, question)
    lost = [len(at_chance.differences) > len(pairs.differences) for pairs, at_chance in family]
    again = verdicts
    if any(lost):
        again, _ = _verdicts_on([at_chance for _, at_chance in family], others, question)
    results = iter(zip(lost, verdicts, again, adjusted, strict=False))
    complete = []
    for one in judged:
        if not one.refusal:
            is_counted, verdict, counted, p = next(results)
            if one.health:
                verdict, health = withheld(verdict, counted, one.health, is_counted=is_counted)
                one = one._replace(health=health)
            p = math.nan if verdict.outcome is Outcome.WITHHELD else p
            one = one._replace(verdict=verdict, adjusted_p=p, family=len(family) + others)
        complete.append(one)
    return complete


def _verdicts_on(
    family: list[Pairs], others: int, question: Question
) -> tuple[list[Verdict], list[float]]:
    """The verdicts on all comparisons of a family, and their p, adjusted."""
    # Those of too few pairs will be looked at later, at what is left of the error rate.
    others += sum(len(one.differences) < LEAST_PAIRS for one in family)
    verdicts = decide_all(family, question.smallest, metric=question.metric, others=others)
    adjusted = holm(np.array([*(verdict.p for verdict in verdicts), *[1.0] * others]))
    return verdicts, [float(p) for p in adjusted]


def pairs_in(one: Judged, first: str, second: str, question: Question) -> Pairs:
    """The evidence of a contrast as its verdict takes it, with the titles of its arms."""
    if one.evidence is not None:
        return pairs_of_evidence(one.evidence, first, second, question.metric.sign)
    planned = question.study.study.pairs if question.study else 0
    gains = one.pairs["gain"].to_numpy(float)
    return Pairs(gains, first, second, planned, gains if len(gains) == planned else None)


def _frame(evidence: ComparisonEvidence, metric: Metric) -> pd.DataFrame:
    """A comparison's pairs in the order in which they were computed, in the columns of
    `analysis.score_table.pairs_of`."""
    seeds = [first.pair for first, _ in evidence.pairs]
    first, second = (np.array([pair[n].score for pair in evidence.pairs], float) for n in (0, 1))
    return pairs_frame(seeds, first, second, metric)


def _own(arm: Arm, scores: pd.Series) -> ArmEvidence:
    """An arm as it was chosen, without what other studies have of its recipe."""
    by_pair = dict(zip(scores.index.astype(int), scores, strict=True))
    classes = len(arm.recipe.described_dataset.class_names)
    return ArmEvidence(facts_of(arm.title, arm.runs), by_pair, classes)


def _health_of(first: ArmEvidence, second: ArmEvidence) -> Health | None:
    """What befell the runs of the pairs that both arms have; of all where they have none."""
    both = first.facts.keys() & second.facts.keys() or first.facts.keys() | second.facts.keys()
    runs = [arm.facts[n] for arm in (first, second) for n in sorted(both & arm.facts.keys())]
    return health_of(runs) if runs else None
