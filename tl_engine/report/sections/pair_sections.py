"""Two arms against each other: how one went, every pair, and the difference as pairs come in."""

from __future__ import annotations

import pandas as pd

from tl_engine.analysis.budgets import times_as_much
from tl_engine.analysis.interval import ALPHA
from tl_engine.analysis.narrator import narrate
from tl_engine.analysis.paired_scores import confidence_fan as fan_of
from tl_engine.charts.confidence_fan import confidence_fan
from tl_engine.charts.pair_points import paired_slopes
from tl_engine.report.arms import Arm, budgets_of
from tl_engine.report.basis import rests_on
from tl_engine.report.judgement import pairs_in
from tl_engine.report.section import Section, charted
from tl_engine.report.shown_results import Results, cost_of


def story(results: Results) -> list[Section]:
    """How the first arm went against the second, in a sentence; nothing where the two cannot be
    compared."""
    if results.judgement.refusal:
        return []
    first, second = results.two_arms
    rows = pd.concat(
        [_epochs(results.history, arm).assign(arm=arm.title) for arm in results.two_arms]
    )
    times = times_as_much(*budgets_of(results.two_arms, results.history)).cold_seconds
    return [
        Section(
            key="story",
            text=narrate(rows, first.title, second.title, times),
            method=f"{first.title} against {second.title}: validation accuracy, means of the "
            "pairs that both have; costs: mean cold time of a finished run.",
        )
    ]


def pairs(results: Results) -> list[Section]:
    """Every pair as a slope with the verdict's interval, and how the mean difference settles as
    pairs come in; nothing where the two arms cannot be compared."""
    judged, question = results.judgement, results.question
    if judged.refusal:
        return []
    first, second = results.two_arms
    interval = judged.verdict.interval if judged.verdict else None
    alpha = judged.verdict.alpha if judged.verdict else ALPHA
    confidence, cost = f"{100 * (1 - alpha):.3g} %", cost_of(results.two_arms)
    counted = pairs_in(judged, first.title, second.title, question)
    slopes = charted(
        "pairs",
        "Scores of each pair",
        paired_slopes,
        judged.pairs,
        first.style,
        second.style,
        interval,
        question.smallest,
        _basis(results),
        question.metric,
        confidence,
        cost=cost,
    )
    fan = charted(
        "fan",
        "Mean difference against the number of pairs",
        confidence_fan,
        fan_of(counted, alpha),
        first.title,
        second.title,
        question.smallest,
        counted.planned,  # of the comparison: a clone with fresh seeds has no plan of its own
        _basis(results),
        question.metric,
        interval if question.is_planned else None,
        confidence,
        cost=cost,
    )
    return [slopes, fan]


def _epochs(history: pd.DataFrame, arm: Arm) -> pd.DataFrame:
    return history[history["run"].isin([run.id for run in arm.runs])]


def _basis(results: Results) -> str:
    """The pairs in a short line."""
    basis = rests_on(results.judgement, results.question).partition(";")[0]
    return f"{basis.removeprefix('pooled: ')}, validation split, last epoch"
