"""What arms cost, and what one gets for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tl_engine.analysis.budgets import (
    TOLERANCE,
    Budget,
    apart,
    are_comparable,
    forward_equivalents,
    times_as_much,
)
from tl_engine.analysis.contrast import MISSING
from tl_engine.analysis.score_table import best_within
from tl_engine.analysis.score_table import budget_curve as curve_of
from tl_engine.charts.arm_style import ArmKey, seeds_of
from tl_engine.charts.cost_curves import budget_curve as draw_curve
from tl_engine.charts.cost_curves import frontier as draw_frontier
from tl_engine.charts.factors import interaction
from tl_engine.recipe import Recipe
from tl_engine.report.amounts import duration, percent
from tl_engine.report.arms import Arm, budgets_of
from tl_engine.report.section import Drawing, Section, charted, note
from tl_engine.report.shown_results import Results, cost_of
from tl_engine.study import differing_settings, name_of_order
from tl_engine.text import plain

MEASURES = {
    "steps": "Optimizer steps",
    "forward_equivalents": "Forward-equivalents",
    "forward_passes": "Forward passes made",
    "cold_seconds": "Cold time",
    "seconds": "Training time",
}
COSTS = {
    "Time": "Mean cold time of a run, in seconds",
    "Forward-equivalents": "Forward-equivalents of a run",
}
"""What accuracy is held against, and the title of that axis."""
MOST_ADVISED = 3
"""Arms that are named of those that fit into a time."""


def budgets(results: Results) -> list[Section]:
    """What a run of each arm of the contrast costs in every measure, and whether that can be
    compared; nothing where no two arms are."""
    if results.history.empty:
        return note("budgets", "Costs are known when the first epoch has ended.")
    if not results.contrast:
        return []
    two = budgets_of(results.two_arms, results.history)
    times = times_as_much(*two)
    rows = [
        [*(_amount(name, getattr(budget, name)) for budget in two), _times(getattr(times, name))]
        for name in MEASURES
    ]
    columns = [*(plain(arm.title) for arm in results.two_arms), "Times as much"]
    table = pd.DataFrame(rows, columns=columns, index=list(MEASURES.values()))
    return [
        Section(
            key="budgets",
            table=table.rename_axis("Budget of a run"),
            method=f"{_comparable(*two)} A forward-equivalent is a forward pass of one image: a "
            "step on it costs 1 for a head and 3 for all layers. Forward passes made: with "
            "features kept, measurements and the test split included. Times are means of finished "
            "runs; cold: with nothing computed before.",
        )
    ]


def budget_curve(results: Results, *, seconds: float | None = None) -> list[Section]:
    """The best that one may expect of each arm in the time one has, and the arms that are expected
    best in so many seconds."""
    if results.history.empty:
        return []
    curve = curve_of(results.final_scores)
    styles = {arm.key: arm.style for arm in results.arms}
    return [
        charted(
            "budget-curve",
            "Expected best accuracy against time",
            Drawing(draw_curve, (curve, styles, seconds), cost_of(results.arms)),
            text="" if seconds is None else _advice(curve, results.arms, seconds),
        )
    ]


def longest_time(results: Results) -> float:
    """Seconds at which the budget curve ends; 0 without one."""
    curve = curve_of(results.final_scores)
    return float(curve["seconds"].max()) if len(curve) else 0.0


def frontier(results: Results, *, cost: str = "Time") -> list[Section]:
    """A cost (one of COSTS) against accuracy, and the arms that no other beats in both."""
    if results.history.empty:
        return []
    rows = results.final_scores.rename(columns={"final": "value", "cold_seconds": "cost"})
    if cost != "Time":
        work = {arm.key: forward_equivalents(arm.recipe) for arm in results.arms}
        keys = zip(rows["study"], rows["arm"], strict=True)
        rows = rows.assign(cost=[work[key] for key in keys])
    rows = rows[["study", "arm", "seed", "cost", "value"]]
    styles = {arm.key: arm.style for arm in results.arms}
    drawing = Drawing(draw_frontier, (rows, styles, COSTS[cost]), cost_of(results.arms))
    return [charted("frontier", "Accuracy against cost", drawing)]


def factors(results: Results) -> list[Section]:
    """Whether the effect of the order depends on another setting; nothing where the arms are no
    grid of orders and one or two more settings."""
    recipes = {arm.key: arm.recipe for arm in results.arms}
    names = differing_settings(recipes.values())
    orders = set(map(name_of_order, recipes.values()))
    if results.history.empty or len(orders) < 2 or not 1 <= len(names) <= 2:
        return []
    scores = results.final_scores
    rows = _by_factor(scores, recipes, names)
    first, *others = (name.replace("_", " ") for name in names)
    words = f"accuracy, {seeds_of(scores, 'seed')}, validation split, last epoch"
    drawing = Drawing(interaction, (rows, first, words, "".join(others)), cost_of(results.arms))
    return [charted("factors", "Accuracy by order and setting", drawing)]


def _by_factor(
    scores: pd.DataFrame, recipes: Mapping[ArmKey, Recipe], names: Sequence[str]
) -> pd.DataFrame:
    """The scores as `charts.factors.interaction` takes them, with one or two settings."""
    of_rows = [recipes[key] for key in zip(scores["study"], scores["arm"], strict=True)]
    columns = {
        column: [_value(getattr(recipe, name)) for recipe in of_rows]
        for column, name in zip(("factor", "facet"), names, strict=False)
    }
    rows = scores[["seed", "final"]].rename(columns={"final": "value"})
    return rows.assign(order=list(map(name_of_order, of_rows)), **columns)


def _amount(measure: str, value: float) -> str:
    if np.isnan(value):
        return MISSING
    return duration(value) if measure.endswith("seconds") else f"{value:,.0f}"


def _times(value: float) -> str:
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


def _advice(curve: pd.DataFrame, arms: Sequence[Arm], seconds: float) -> str:
    """Which arms are expected best with so many seconds."""
    titles = {arm.key: arm.title for arm in arms}
    best = [
        f"{titles[one.key]} {percent(one.value)} as the best of {one.runs}"
        for one in best_within(curve, seconds)[:MOST_ADVISED]
    ]
    if not best:
        return f"No run fits into {duration(seconds)}."
    after = f"; then {', '.join(best[1:])}" if best[1:] else ""
    return (
        f"With {duration(seconds)}, expected best: {best[0]}{after}. No verdict: it is chosen "
        "after looking. More runs than an arm has are not counted on."
    )


def _value(setting: object) -> str:
    words: dict[object, str] = {True: "on", False: "off", None: "all"}
    is_flag = setting is None or isinstance(setting, bool)
    return words[setting] if is_flag else str(setting)
