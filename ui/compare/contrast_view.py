"""Two arms against each other, and what arms cost: what Compare draws below its verdict."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.best_of import best_within, budget_curve
from tl_engine.analysis.budgets import (
    TOLERANCE,
    Budget,
    apart,
    are_comparable,
    forward_equivalents,
    times_as_much,
)
from tl_engine.analysis.fan import confidence_fan
from tl_engine.analysis.interval import ALPHA
from tl_engine.analysis.narrator import narrate
from tl_engine.analysis.settings_diff import MISSING
from tl_engine.charts.arm_style import ArmKey, ArmStyle, seeds_words
from tl_engine.recipe import SETTINGS, Recipe
from tl_engine.report.arms import budgets_of, finished
from tl_engine.report.basis import rests_on
from tl_engine.report.judgement import Judged, pairs_in
from tl_engine.report.question import Question
from tl_engine.study import name_of_order
from ui import figures
from ui.arms import ShownArm, budget_of, show_table
from ui.export import chart
from ui.words import duration, escape, percent, plain

MEASURES = {
    "steps": "Optimizer steps",
    "forward_equivalents": "Forward-equivalents",
    "forward_passes": "Forward passes made",
    "cold_seconds": "Cold time",
    "seconds": "Training time",
}
SECONDS = "Mean cold time of a run, in seconds"
EQUIVALENTS = "Forward-equivalents of a run"
ADVISED = 3
"""Arms that are named of those that fit into a time."""
LONG = 120.0
"""Seconds from which on times are asked for in minutes."""


def show_story(first: ShownArm, second: ShownArm, history: pd.DataFrame) -> None:
    """How the first arm went against the second, in a sentence."""
    ours = pd.concat([_rows(history, arm).assign(arm=arm.title) for arm in (first, second)])
    budgets = budgets_of([first, second], history)
    times = times_as_much(*budgets).cold_seconds
    st.markdown(escape(narrate(ours, first.title, second.title, times), 1000))
    st.caption(
        f"{escape(first.title)} against {escape(second.title)}: validation accuracy, means of the "
        "pairs that both have; costs: mean cold time of a finished run."
    )


def show_pairs(first: ShownArm, second: ShownArm, judged: Judged, question: Question) -> None:
    """Every pair as a slope, and the mean difference with the interval that the verdict has."""
    interval = judged.verdict.interval if judged.verdict else None
    alpha = judged.verdict.alpha if judged.verdict else ALPHA
    drawn = figures.paired_slopes(
        judged.pairs,
        _style(first),
        _style(second),
        interval,
        question.smallest,
        _words(judged, question),
        question.metric,
        f"{100 * (1 - alpha):.3g} %",
        budget=budget_of([first, second]),
    )
    chart(drawn, judged.pairs, "pairs", "Scores of each pair")


def show_fan(first: ShownArm, second: ShownArm, judged: Judged, question: Question) -> None:
    """How the difference settles as pairs come in."""
    alpha = judged.verdict.alpha if judged.verdict else ALPHA
    pairs = pairs_in(judged, first.title, second.title, question)
    fan = confidence_fan(pairs, alpha)
    drawn = figures.confidence_fan(
        fan,
        first.title,
        second.title,
        question.smallest,
        pairs.planned,  # of the comparison: a clone with fresh seeds has no plan of its own
        _words(judged, question),
        question.metric,
        judged.verdict.interval if judged.verdict and question.is_planned else None,
        f"{100 * (1 - alpha):.3g} %",
        budget=budget_of([first, second]),
    )
    chart(drawn, fan, "fan", "Mean difference against the number of pairs")


def show_budgets(first: ShownArm, second: ShownArm, history: pd.DataFrame) -> None:
    """What a run of each costs in every measure, and whether that can be compared."""
    budgets = budgets_of([first, second], history)
    times = times_as_much(*budgets)
    columns = [*(plain(arm.title) for arm in (first, second)), "Times as much"]
    rows = [
        [*(_amount(measure, getattr(one, measure)) for one in budgets), _times(times, measure)]
        for measure in MEASURES
    ]
    frame = pd.DataFrame(rows, columns=columns, index=list(MEASURES.values()))
    show_table(frame.rename_axis("Budget of a run"))
    st.caption(
        f"{_comparable(*budgets)} A forward-equivalent is a forward pass of one image: a step on "
        "it costs 1 for a head and 3 for all layers. Forward passes made: with features kept, "
        "measurements and the test split included. Times are means of finished runs; cold: with "
        "nothing computed before."
    )


def show_budget_curve(arms: Sequence[ShownArm], scored: pd.DataFrame) -> None:
    """The best that one may expect of each arm in the time one has."""
    curve = budget_curve(finished(arms, scored))
    longest = float(curve["seconds"].max()) if len(curve) else 0.0
    seconds = None
    if longest > 0:
        unit, name = (60.0, "min") if longest >= LONG else (1.0, "s")
        top = _round_above(longest / unit)
        chosen = st.slider("I have", 0.0, top, top / 2, top / 100, f"%.1f {name}", key="budget")
        seconds = chosen * unit
    drawn = figures.best_of_runs(curve, _styles(arms), seconds, budget=budget_of(arms))
    chart(drawn, curve, "budget-curve", "Expected best accuracy against time")
    if seconds is not None:
        st.markdown(_advice(curve, arms, seconds))


def show_frontier(arms: Sequence[ShownArm], scored: pd.DataFrame) -> None:
    """Cost against accuracy, and the arms that no other beats in both."""
    cost = st.segmented_control(
        "Cost",
        ["Time", "Forward-equivalents"],
        default="Time",
        required=True,
        label_visibility="collapsed",
        key="cost",
    )
    frame = finished(arms, scored).rename(columns={"final": "value", "cold_seconds": "cost"})
    title = SECONDS
    if cost != "Time":
        work = {arm.key: forward_equivalents(arm.runs[0].recipe) for arm in arms}
        keys = zip(frame["study"], frame["arm"], strict=True)
        frame, title = frame.assign(cost=[work[key] for key in keys]), EQUIVALENTS
    frame = frame[["study", "arm", "seed", "cost", "value"]]
    drawn = figures.cost_and_accuracy(frame, _styles(arms), title, budget=budget_of(arms))
    chart(drawn, frame, "frontier", "Accuracy against cost")


def show_factors(arms: Sequence[ShownArm], scored: pd.DataFrame) -> None:
    """Whether the effect of the order depends on another setting; nothing where the arms are no
    grid of orders and one or two more settings."""
    recipes = {arm.key: arm.runs[0].recipe for arm in arms}
    factors = [name for name in SETTINGS if len({getattr(r, name) for r in recipes.values()}) > 1]
    orders = {name_of_order(recipe) for recipe in recipes.values()}
    if len(orders) < 2 or not 1 <= len(factors) <= 2:
        return
    rows = finished(arms, scored)
    ours = [recipes[key] for key in zip(rows["study"], rows["arm"], strict=True)]
    columns = dict(zip(("factor", "facet"), factors, strict=False))
    frame = rows[["seed", "final"]].rename(columns={"final": "value"})
    frame = frame.assign(
        order=[name_of_order(recipe) for recipe in ours],
        **{column: [_level(recipe, name) for recipe in ours] for column, name in columns.items()},
    )
    seeds = seeds_words(rows.groupby(["study", "arm"])["seed"].nunique())
    named = [name.replace("_", " ") for name in factors]
    words = f"accuracy, {seeds}, validation split, last epoch"
    facet, budget = "".join(named[1:]), budget_of(arms)
    drawn = figures.interaction(frame, named[0], words, facet, budget=budget)
    chart(drawn, frame, "factors", "Accuracy by order and setting")


def _rows(history: pd.DataFrame, arm: ShownArm) -> pd.DataFrame:
    return history[history["run"].isin([run.id for run in arm.runs])]


def _style(arm: ShownArm) -> ArmStyle:
    return ArmStyle(arm.title, arm.colour)


def _styles(arms: Sequence[ShownArm]) -> dict[ArmKey, ArmStyle]:
    return {arm.key: _style(arm) for arm in arms}


def _words(judged: Judged, question: Question) -> str:
    pairs = rests_on(judged, question).partition(";")[0].removeprefix("pooled: ")  # a short line
    return f"{pairs}, validation split, last epoch"


def _amount(measure: str, value: float) -> str:
    if np.isnan(value):
        return MISSING
    return duration(value) if measure.endswith("seconds") else f"{value:,.0f}"


def _times(times: Budget, measure: str) -> str:
    value = getattr(times, measure)
    return f"{value:.2f}" if np.isfinite(value) else MISSING


def _comparable(first: Budget, second: Budget) -> str:
    if are_comparable(first, second):
        return f"The budgets are comparable: within {TOLERANCE:.0%} in steps and work."
    times = times_as_much(first, second)
    steps, work = (apart(ratio) for ratio in (times.steps, times.forward_equivalents))
    return (
        f"The budgets are not comparable: steps differ by {steps:.0%}, forward-equivalents by "
        f"{work:.0%}, so a difference may come from them."
    )


def _round_above(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 … (and 0.1, 0.2 …), so that a slider seldom gets another end."""
    power = 10.0 ** math.floor(math.log10(value))
    return power * next(digit for digit in (1.0, 2.0, 5.0, 10.0) if value <= power * digit)


def _advice(curve: pd.DataFrame, arms: Sequence[ShownArm], seconds: float) -> str:
    """Which arm is expected best with so many seconds."""
    titles = {arm.key: escape(arm.title) for arm in arms}
    said = [
        f"{titles[one.key]} {percent(one.value)} as the best of {one.runs}"
        for one in best_within(curve, seconds)
    ]
    if not said:
        return f"No run fits into {duration(seconds)}."
    first, *others = said[:ADVISED]
    after = f"; then {', '.join(others)}" if others else ""
    return (
        f"With {duration(seconds)}, expected best: {first}{after}. No verdict: it is chosen after "
        "looking. More runs than an arm has are not counted on."
    )


def _level(recipe: Recipe, name: str) -> str:
    value = getattr(recipe, name)
    if value is None or isinstance(value, bool):
        return {True: "on", False: "off", None: "all"}[value]
    return str(value)
