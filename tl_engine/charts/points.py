"""Final scores: every seed a point, no claim."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import (
    NAMED_ARMS,
    NEUTRAL,
    arm_colours,
    arm_names,
    figure,
    say_empty,
    seeds_words,
    translucent,
)

LEAST_RANGE = 0.04
"""The axis spans at least four percentage points."""
LONGEST_TICK = 24
"""Letters of an arm's name beneath its points; the whole name is in the hover text."""


def final_scores(table: pd.DataFrame) -> go.Figure:
    """A point per run and a bar at the mean of each arm; with two arms of one study, a thin line
    joins the points of a pair.

    Args:
        table: as analysis.scores.score_table gives it; runs without a score are left out.
    """
    table = table.dropna(subset="final")
    keys = list(dict.fromkeys(zip(table["study"], table["arm"], strict=True)))
    seeds = table.groupby(["study", "arm"])["run"].nunique()
    made = figure(
        "After the last epoch",
        f"validation accuracy, {seeds_words(seeds)}<br>one point per seed, bar = mean"
        + _unequal(table["epoch"]),
        margin_t=96,
    )
    made.update_xaxes(title="Arm", showgrid=False)
    made.update_yaxes(title="Validation accuracy", tickformat=".1%")
    if table.empty:
        return say_empty(made, "No epoch has ended yet.")
    if len(keys) == 2 and keys[0][0] == keys[1][0]:
        _join_pairs(made, table, [arm for _, arm in keys])
    names = arm_names(keys)
    for place, ((study, arm), colour) in enumerate(arm_colours(keys).items()):
        ours = table[(table["study"] == study) & (table["arm"] == arm)]
        _add_points(made, place, ours, names[study, arm], colour)
        if len(ours) > 1:
            _add_mean(made, place, ours["final"].mean(), colour)
    made.update_xaxes(
        tickvals=list(range(len(keys))),
        ticktext=list(arm_names(keys, LONGEST_TICK).values()),
        range=[-0.6, len(keys) - 0.4],
        showticklabels=len(keys) <= NAMED_ARMS,
    )
    made.update_yaxes(range=_range(table["final"]))
    return made


def _unequal(epochs: pd.Series) -> str:
    """A second line where the runs have not come equally far, so that nobody compares them."""
    if epochs.nunique() < 2:
        return ""
    return f"<br>the runs stand at different epochs, {epochs.min()} to {epochs.max()}"


def _range(values: pd.Series) -> list[float]:
    """An axis around the points that never blows a tiny difference up to the whole height."""
    margin = max(LEAST_RANGE - (values.max() - values.min()), 0.0) / 2
    edge = 0.1 * max(values.max() - values.min(), LEAST_RANGE)
    return [values.min() - margin - edge, values.max() + margin + edge]


def _add_points(made: go.Figure, place: int, runs: pd.DataFrame, name: str, colour: str) -> None:
    made.add_scatter(
        x=[place] * len(runs),
        y=runs["final"],
        mode="markers",
        marker={"color": translucent(colour, 0.7), "size": 10, "line": {"width": 1.5}},
        marker_line_color=colour,
        name=name,
        showlegend=False,
        customdata=runs[["seed", "epoch", "correct", "total"]],
        hovertemplate=f"{name}, pair %{{customdata[0]}}, after epoch %{{customdata[1]}}<br>"
        "%{y:.1%}: %{customdata[2]:,} of %{customdata[3]:,} right<extra></extra>",
    )


def _add_mean(made: go.Figure, place: int, mean: float, colour: str) -> None:
    made.add_shape(
        type="line",
        x0=place - 0.2,
        x1=place + 0.2,
        y0=mean,
        y1=mean,
        line={"color": colour, "width": 3},
    )


def _join_pairs(made: go.Figure, table: pd.DataFrame, arms: list[str]) -> None:
    for _, pair in table.groupby("seed"):
        if len(pair) == 2:
            made.add_scatter(
                x=[arms.index(arm) for arm in pair["arm"]],
                y=pair["final"],
                mode="lines",
                line={"color": translucent(NEUTRAL, 0.6), "width": 1.5},
                showlegend=False,
                hoverinfo="skip",
            )
