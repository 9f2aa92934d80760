"""Two arms against each other: how one went, every pair, and the difference as pairs come in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf
from typing import Any

import pandas as pd

from tl_engine.analysis.budgets import times_as_much
from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS
from tl_engine.analysis.narrator import narrate
from tl_engine.analysis.paired_scores import confidence_fan as fan_of
from tl_engine.analysis.paired_scores import paired_scores
from tl_engine.charts.confidence_fan import confidence_fan
from tl_engine.charts.pair_points import paired_slopes
from tl_engine.report.amounts import percent, points
from tl_engine.report.arms import budgets_of
from tl_engine.report.judgement import pairs_in
from tl_engine.report.section import Drawing, Section, charted
from tl_engine.report.shown_results import Results, cost_of
from tl_engine.report.verdict_table import rests_on
from tl_engine.text import counted


def story(results: Results) -> list[Section]:
    """How the first arm went against the second, in a sentence; nothing where the two cannot be
    compared."""
    if results.judgement.refusal:
        return []
    first, second = results.two_arms
    history = results.history
    rows = pd.concat(
        history[history["run"].isin([run.id for run in arm.runs])].assign(arm=arm.title)
        for arm in results.two_arms
    )
    times = times_as_much(*budgets_of(results.two_arms, history)).cold_seconds
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
    titles, metric, smallest = (first.title, second.title), question.metric, question.smallest
    interval = judged.verdict.interval if judged.verdict else None
    alpha = judged.verdict.alpha if judged.verdict else ALPHA
    confidence, cost = f"{100 * (1 - alpha):.3g} %", cost_of(results.two_arms)
    counts = pairs_in(judged, *titles, question)
    # The plan is of the comparison: a clone with fresh seeds has none of its own.
    fan, planned = fan_of(counts, alpha), counts.planned
    final = interval if question.is_planned else None
    basis = rests_on(judged, question).partition(";")[0].removeprefix("pooled: ")
    basis += ", validation split, last epoch"
    styles = (first.style, second.style)
    slopes = (judged.pairs, *styles, interval, smallest, basis, metric, confidence)
    bands = (fan, *titles, smallest, planned, basis, metric, final, confidence)
    alt = "Mean difference against the number of pairs"
    return [
        charted("pairs", "Scores of each pair", Drawing(paired_slopes, slopes, cost)),
        charted("fan", alt, Drawing(confidence_fan, bands, cost)),
    ]


def paired_table(
    key: str,
    names: Mapping[str, str],
    measured: Sequence[Mapping[int, Any]],
    titles: Sequence[str],
    *,
    all_in: bool,
) -> Section:
    """Means, differences and intervals of two arms on several sets of images.

    Args:
        names: by what the images are called, the attribute that is a share of them.
        measured: by pair, what has these attributes, of each arm.
        all_in: as `paired_scores` takes it.
    """
    values, pairs = {}, 0
    for title, name in names.items():
        first, second = ({n: getattr(one, name) for n, one in arm.items()} for arm in measured)
        row = paired_scores(first, second, all_in=all_in)
        span = "–"
        if row.interval and not isinf(row.interval.low):
            span = " to ".join(map(points, row.interval))
        values[title] = [percent(row.first), percent(row.second), points(row.difference), span]
        pairs = max(pairs, row.pairs)
    columns = [*titles, "Points", "95 %"]
    table = pd.DataFrame.from_dict(values, orient="index", columns=columns)
    how = "paired t interval" if all_in else "an interval that may be looked at at any time"
    enough = f"95 %: {how}, of {pairs} pairs, for these two arms alone."
    few = f"Fewer than {LEAST_PAIRS} pairs are a look, not evidence."
    return Section(
        key=key,
        table=table.rename_axis(counted(pairs, "pair")),
        method=f"Points: {titles[0]} minus {titles[1]}, in percentage points. "
        f"{enough if pairs >= LEAST_PAIRS else few}",
    )
