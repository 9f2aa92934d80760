"""Final scores: every seed a point, no claim."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import GRID, arm_colours, figure, plain, say_empty

LEAST_RANGE = 0.04
"""The axis spans at least four percentage points."""


def final_scores(table: pd.DataFrame) -> go.Figure:
    """A point per run and a bar at the mean of each arm; with two arms of one study, a thin line
    joins the points of a pair.

    Args:
        table: as analysis.scores.score_table gives it.
    """
    made = figure("After the last epoch", "validation accuracy; one point per seed, bar = mean")
    if table.empty:
        return say_empty(made, "No epoch has ended yet.")
    keys = list(dict.fromkeys(zip(table["study"], table["arm"], strict=True)))
    if len(keys) == 2 and keys[0][0] == keys[1][0]:
        _join_pairs(made, table)
    for place, ((study, arm), colour) in enumerate(arm_colours(keys).items()):
        ours = table[(table["study"] == study) & (table["arm"] == arm)]
        made.add_scatter(
            x=[place] * len(ours),
            y=ours["final"],
            mode="markers",
            marker={"color": colour, "size": 10, "line": {"width": 1, "color": "white"}},
            name=plain(arm),
            showlegend=False,
            customdata=ours[["seed", "correct", "total"]],
            hovertemplate=f"{plain(arm)}, pair %{{customdata[0]}}<br>%{{y:.1%}}, "
            "%{customdata[1]:,} of %{customdata[2]:,} right<extra></extra>",
        )
        if len(ours) > 1:
            mean = ours["final"].mean()
            made.add_shape(
                type="line",
                x0=place - 0.2,
                x1=place + 0.2,
                y0=mean,
                y1=mean,
                line={"color": colour, "width": 3},
            )
    made.update_xaxes(
        tickvals=list(range(len(keys))),
        ticktext=[plain(arm, 24) for _, arm in keys],
        range=[-0.6, len(keys) - 0.4],
        showgrid=False,
    )
    made.update_yaxes(title="Validation accuracy", tickformat=".1%", range=_range(table["final"]))
    return made


def _range(values: pd.Series) -> list[float]:
    """An axis around the points that never blows a tiny difference up to the whole height."""
    margin = max(LEAST_RANGE - (values.max() - values.min()), 0.0) / 2
    edge = 0.1 * max(values.max() - values.min(), LEAST_RANGE)
    return [values.min() - margin - edge, values.max() + margin + edge]


def _join_pairs(made: go.Figure, table: pd.DataFrame) -> None:
    arms = list(dict.fromkeys(table["arm"]))
    for _, pair in table.groupby("seed"):
        if len(pair) == 2:
            made.add_scatter(
                x=[arms.index(arm) for arm in pair["arm"]],
                y=pair["final"],
                mode="lines",
                line={"color": GRID, "width": 1.5},
                showlegend=False,
                hoverinfo="skip",
            )
