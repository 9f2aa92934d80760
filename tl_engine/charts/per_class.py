"""Accuracy per class, as dots."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import ArmKey, ArmRows, arms_in, seeds_of
from tl_engine.charts.seed_marks import add_seeds
from tl_engine.charts.style import NO_RUN, figure, hover, say_empty
from tl_engine.text import markup


def per_class(frame: pd.DataFrame, arms: Sequence[ArmKey] = ()) -> go.Figure:
    """A large dot per arm and class (the mean of its seeds), a small one per seed.

    Args:
        frame: columns study, arm, seed, class, accuracy (0 to 1); classes are drawn from the
            one with the largest difference between arms down, with one arm from the hardest up.
            A class without images (NaN) has a row without dots.
        arms: all arms of the page, in their order, for their colours.
    """
    made = figure(
        "Accuracy per class",
        f"validation split, {seeds_of(frame, 'seed')}",
        height=220 + 26 * max(frame["class"].nunique(), 4),
    )
    made.update_xaxes(title="Share predicted right", tickformat=".0%")
    made.update_yaxes(title="True class")
    if frame.empty:
        return say_empty(made, NO_RUN)
    for arm in arms_in(frame, arms):
        if arm.rows["seed"].nunique() > 1:
            look = {"color": arm.colour, "size": 5, "opacity": 0.45}
            places = arm.rows["accuracy"], arm.rows["class"].map(markup)
            add_seeds(made, arm.rows, *places, arm.name, look, "%{y}: %{x:.1%}")
        _add_means(made, arm)
    made.update_yaxes(
        type="category",  # or classes called "0" to "9" would become a scale
        categoryorder="array",
        categoryarray=[markup(name) for name in reversed(_order(frame))],
    )
    return made


def _order(frame: pd.DataFrame) -> list[str]:
    means = frame.groupby(["class", "study", "arm"], sort=False)["accuracy"].mean()
    arms = means.unstack(["study", "arm"])
    if arms.shape[1] > 1:
        return list((arms.max(axis=1) - arms.min(axis=1)).sort_values(ascending=False).index)
    return list(arms.iloc[:, 0].sort_values().index)


def _add_means(made: go.Figure, arm: ArmRows) -> None:
    means = arm.rows.groupby("class", sort=False)["accuracy"].mean()
    seeds = arm.rows["seed"].nunique()
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    made.add_scatter(
        x=means,
        y=means.index.map(markup),
        mode="markers",
        marker={"color": arm.colour, "size": 12},
        name=arm.name,
        showlegend=True,
        hovertemplate=hover(f"{arm.name}{mean}", "%{y}: %{x:.1%}"),
    )
