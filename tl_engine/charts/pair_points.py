"""The pairs of two arms: a slope for each, and their mean difference with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import Interval
from tl_engine.charts.arm_style import ArmStyle, wrapped
from tl_engine.charts.style import (
    BELOW,
    NEUTRAL,
    NO_PAIR,
    around,
    figure,
    hover,
    say_empty,
    translucent,
)
from tl_engine.metric import ACCURACY, Metric
from tl_engine.text import markup


def paired_slopes(
    pairs: pd.DataFrame,
    first: ArmStyle,
    second: ArmStyle,
    interval: Interval | None,
    smallest: float,
    words: str,
    metric: Metric = ACCURACY,
    confidence: str = "95 %",
) -> go.Figure:
    """A line per pair from the first arm to the second, in the colour of the one that is ahead;
    beside it every pair's difference, their mean and its interval (Gardner and Altman 1986).

    The differences have a scale of their own: between arms of the same pair they are often much
    smaller than between pairs.

    Args:
        pairs: as `analysis.score_table.pairs_of` returns them.
        interval: of the mean difference, in the metric's column; None where no verdict is possible.
        smallest: the smallest difference that matters, in the metric's column: the grey band.
        words: what the subtitle says of n, split and metric.
        confidence: of the interval.
    """
    bar, drawn = None, "diamond: mean difference"
    if interval is not None:
        drawn += f"; bar: {confidence} interval"
        if np.isfinite(interval.low):
            bar = metric.scale * interval.low, metric.scale * interval.high
        else:
            drawn += ", infinite yet"
    made = figure(
        "Pair by pair",
        f"{first.name} minus {second.name}<br>{markup(words)}<br>{drawn}<br>"
        f"grey: less than the {metric.amount(smallest)} that matter",
        margin_t=130,
        height=490,
        legend=BELOW,
    )
    if pairs.empty:
        return say_empty(made, NO_PAIR)
    points, matters = metric.scale * pairs["gain"], metric.scale * smallest
    _lay_out(made, [wrapped(first.title), wrapped(second.title)], metric)
    # Of equal values Plotly would make an axis from -1 to 1.
    scores = pairs[["first", "second"]].to_numpy(float).ravel()
    made.layout.yaxis.range = around(scores, 8 * smallest)
    made.layout.yaxis2.range = around(np.array([*points, *(bar or ()), -matters, matters]), 0.0)
    pairs = pairs.assign(points=points)
    _add_pairs(made, pairs[points > 0], f"{first.name} ahead", first.colour, metric)
    _add_pairs(made, pairs[points < 0], f"{second.name} ahead", second.colour, metric)
    _add_pairs(made, pairs[points == 0], "level", NEUTRAL, metric)
    mean = float(points.mean())
    shown = [f"mean {mean:+.{metric.digits}f} {metric.unit}"]
    if bar:
        shown.append(f"{confidence} interval {span(*bar, metric)}")
    add_mean(made, 1, mean, bar, 12, shown, xaxis="x2", yaxis="y2", showlegend=False)
    beside = {"xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1}
    band = {"fillcolor": NEUTRAL, "opacity": 0.18, "line": {"width": 0}, "layer": "below"}
    made.add_shape(type="rect", y0=-matters, y1=matters, **beside, **band)
    made.add_shape(type="line", y0=0, y1=0, **beside, line={"color": NEUTRAL, "width": 1.5})
    return made


def _lay_out(made: go.Figure, names: list[str], metric: Metric) -> None:
    axis = {"tickvals": [0, 1], "showgrid": False, "fixedrange": True}
    slopes = {"domain": (0.0, 0.56), "ticktext": names, "tickangle": 0, "range": [-0.25, 1.25]}
    differences = {"domain": (0.68, 1.0), "ticktext": ["pairs", "mean"], "range": [-0.5, 1.5]}
    made.update_layout(
        xaxis={**axis, **slopes},
        yaxis={"title": metric.title, "tickformat": metric.tick},
        xaxis2={**axis, **differences, "anchor": "y2", "zeroline": False},
        yaxis2={
            "anchor": "x2",
            "side": "right",
            "title": f"Difference, {metric.unit}",
            "tickformat": "+.2~f",
            "zeroline": False,
            "automargin": True,
            "gridcolor": made.layout.yaxis.gridcolor,
        },
    )


def _add_pairs(
    made: go.Figure, pairs: pd.DataFrame, name: str, colour: str, metric: Metric
) -> None:
    """The slopes of pairs in which the same arm is ahead as one broken line, and a dot for the
    difference (column points) of each."""
    if pairs.empty:
        return
    rows = pairs[["seed", "first", "second", "points"]].to_numpy(float)
    seeds, gap = rows[:, 0], np.full(len(rows), np.nan)
    made.add_scatter(
        x=np.tile([0.0, 1.0, np.nan], len(rows)),
        y=np.column_stack([rows[:, 1:3], gap]).ravel(),
        mode="lines+markers",
        line={"color": colour, "width": 1.8},
        marker={"size": 6},
        opacity=0.9,
        name=f"{name} ({len(rows)})",
        customdata=np.repeat(rows, 3, axis=0),
        hovertemplate=hover(
            f"pair %{{customdata[0]}}: %{{customdata[1]:{metric.tick}}} and "
            f"%{{customdata[2]:{metric.tick}}}, difference {metric.hover('customdata[3]')}"
        ),
    )
    made.add_scatter(
        x=0.12 * (seeds % 3 - 1),  # to the sides, so that few lie on another
        y=pairs["points"],
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        marker={"color": translucent(colour, 0.7), "size": 8},
        showlegend=False,
        customdata=seeds,
        hovertemplate=hover(f"pair %{{customdata}}: {metric.hover('y')}"),
    )


def add_mean(
    made: go.Figure,
    place: int,
    mean: float,
    bar: tuple[float, float] | None,
    size: int,
    words: Sequence[str],
    **more: Any,
) -> None:
    """A diamond at a mean difference, with its interval where there is one."""
    error = None
    if bar:
        low, high = bar
        error = {"array": [high - mean], "arrayminus": [mean - low], "thickness": 2.5}
        error["width"] = size - 4
    made.add_scatter(
        x=[place],
        y=[mean],
        mode="markers",
        marker={"symbol": "diamond", "size": size, "color": NEUTRAL},
        error_y=error,
        hovertemplate=hover(*words),
        **more,
    )


def span(low: float, high: float, metric: Metric) -> str:
    """An interval in the metric's unit, in words."""
    return f"{low:+.{metric.digits}f} to {high:+.{metric.digits}f}"
