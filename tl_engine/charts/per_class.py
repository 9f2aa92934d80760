"""Accuracy per class, as dots."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import (
    ArmKey,
    arm_colours,
    arm_names,
    figure,
    of_page,
    say_empty,
    seeds_words,
)
from tl_engine.text import markup


def per_class(frame: pd.DataFrame, arms: Sequence[ArmKey] = ()) -> go.Figure:
    """A large dot per arm and class (the mean of its seeds), a small one per seed.

    Args:
        frame: columns study, arm, seed, class, accuracy (0 to 1); classes are drawn from the
            one with the largest difference between arms down, with one arm from the hardest up.
            A class without images (NaN) has a row without dots.
        arms: all arms of the page, in their order, for their colours.
    """
    seeds = frame.groupby(["study", "arm"])["seed"].nunique()
    made = figure(
        "Accuracy per class",
        f"validation split, {seeds_words(seeds)}",
        height=220 + 26 * max(frame["class"].nunique(), 4),
    )
    made.update_xaxes(title="Share predicted right", tickformat=".0%")
    made.update_yaxes(title="True class")
    if frame.empty:
        return say_empty(made, "It is drawn when a run has finished.")
    keys = list(dict.fromkeys(zip(frame["study"], frame["arm"], strict=True)))
    names, colours = arm_names(keys), arm_colours(of_page(keys, arms))
    for key in keys:
        colour = colours[key]
        ours = frame[(frame["study"] == key[0]) & (frame["arm"] == key[1])]
        if seeds[key] > 1:
            _add_seeds(made, ours, names[key], colour)
        _add_means(made, ours, names[key], colour)
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


def _add_seeds(made: go.Figure, rows: pd.DataFrame, name: str, colour: str) -> None:
    made.add_scatter(
        x=rows["accuracy"],
        y=rows["class"].map(markup),
        mode="markers",
        marker={"color": colour, "size": 5, "opacity": 0.45},
        showlegend=False,
        customdata=rows["seed"],
        hovertemplate=f"{name}, pair %{{customdata}}<br>%{{y}}: %{{x:.1%}}<extra></extra>",
    )


def _add_means(made: go.Figure, rows: pd.DataFrame, name: str, colour: str) -> None:
    means = rows.groupby("class", sort=False)["accuracy"].mean()
    seeds = rows["seed"].nunique()
    mean = f", mean of {seeds} seeds" if seeds > 1 else ""
    made.add_scatter(
        x=means,
        y=means.index.map(markup),
        mode="markers",
        marker={"color": colour, "size": 12},
        name=name,
        showlegend=True,
        hovertemplate=f"{name}{mean}<br>%{{y}}: %{{x:.1%}}<extra></extra>",
    )
