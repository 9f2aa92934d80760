"""The pairs of two arms: a slope for each, and their mean difference with its interval."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import Interval
from tl_engine.charts.arm_style import ArmStyle, wrapped
from tl_engine.charts.colours import NEUTRAL, translucent
from tl_engine.charts.style import BELOW, NO_PAIR, around, figure, hover, say_empty
from tl_engine.metric import ACCURACY, Metric
from tl_engine.text import markup

SLOPES, DIFFERENCES = (0.0, 0.56), (0.68, 1.0)
"""The parts of the width that the two halves take."""
SPREAD = 0.12
"""How far dots of differences stand to the sides, so that few lie on another."""


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
    made = figure(
        "Pair by pair",
        f"{first.name} minus {second.name}<br>"
        f"{markup(words)}<br>{_explained(interval, confidence)}<br>"
        f"grey: less than the {metric.amount(smallest)} that matter",
        margin_t=130,
        height=490,
        legend=BELOW,
        uirevision="pairs",
    )
    if pairs.empty:
        return say_empty(made, NO_PAIR)
    _lay_out(made, (first, second), metric)
    points = metric.scale * pairs["gain"]
    for side, ahead in ((first, points > 0), (second, points < 0), (None, points == 0)):
        if ahead.any():
            _add_slopes(made, pairs[ahead], points[ahead], side, metric)
            _add_dots(made, pairs[ahead], points[ahead], side, metric)
    _add_mean(made, float(points.mean()), interval, metric, confidence)
    _add_margins(made, metric.scale * smallest)
    _fit(made, pairs, points, interval, smallest, metric)
    return made


def _fit(
    made: go.Figure,
    pairs: pd.DataFrame,
    points: pd.Series,
    interval: Interval | None,
    smallest: float,
    metric: Metric,
) -> None:
    """Axes round what is drawn: of equal values Plotly would make one from -1 to 1."""
    scores = pairs[["first", "second"]].to_numpy(float).ravel()
    made.layout.yaxis.range = around(scores, 8 * smallest)
    bars = [*interval] if interval is not None and np.isfinite(interval.low) else []
    beside = metric.scale * np.array([*bars, -smallest, smallest])
    made.layout.yaxis2.range = around(np.array([*points, *beside]), 0.0)


def _explained(interval: Interval | None, confidence: str) -> str:
    if interval is None:
        return "diamond: mean difference"
    bar = f"{confidence} interval" + ("" if np.isfinite(interval.low) else ", infinite yet")
    return f"diamond: mean difference; bar: {bar}"


def _lay_out(made: go.Figure, sides: tuple[ArmStyle, ArmStyle], metric: Metric) -> None:
    made.update_layout(
        xaxis={
            "domain": SLOPES,
            "tickvals": [0, 1],
            "ticktext": [wrapped(side.title) for side in sides],
            "tickangle": 0,
            "range": [-0.25, 1.25],
            "showgrid": False,
            "fixedrange": True,
        },
        yaxis={"title": metric.title, "tickformat": metric.tick},
        xaxis2={
            "domain": DIFFERENCES,
            "anchor": "y2",
            "tickvals": [0, 1],
            "ticktext": ["pairs", "mean"],
            "range": [-0.5, 1.5],
            "showgrid": False,
            "zeroline": False,
            "fixedrange": True,
        },
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


def _add_slopes(
    made: go.Figure, pairs: pd.DataFrame, points: pd.Series, side: ArmStyle | None, metric: Metric
) -> None:
    """The slopes of the pairs in which a side is ahead, None for ties, as one broken line."""
    scores = pairs[["first", "second"]].to_numpy(float)
    rows = pairs[["seed", "first", "second"]].assign(points=points).to_numpy(float)
    made.add_scatter(
        x=np.tile([0.0, 1.0, np.nan], len(pairs)),
        y=np.column_stack([scores, np.full(len(pairs), np.nan)]).ravel(),
        mode="lines+markers",
        line={"color": _colour(side), "width": 1.8},
        marker={"size": 6},
        opacity=0.9,
        name=f"{side.name} ahead ({len(pairs)})" if side else f"level ({len(pairs)})",
        customdata=np.repeat(rows, 3, axis=0),
        hovertemplate=hover(
            f"pair %{{customdata[0]}}: %{{customdata[1]:{metric.tick}}} and "
            f"%{{customdata[2]:{metric.tick}}}, difference {metric.hover('customdata[3]')}"
        ),
    )


def _add_dots(
    made: go.Figure, pairs: pd.DataFrame, points: pd.Series, side: ArmStyle | None, metric: Metric
) -> None:
    seeds = pairs["seed"].to_numpy(float)
    made.add_scatter(
        x=SPREAD * (seeds % 3 - 1),
        y=points,
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        marker={"color": translucent(_colour(side), 0.7), "size": 8},
        showlegend=False,
        customdata=seeds,
        hovertemplate=hover(f"pair %{{customdata}}: {metric.hover('y')}"),
    )


def _add_mean(
    made: go.Figure, mean: float, interval: Interval | None, metric: Metric, confidence: str
) -> None:
    words = [f"mean {mean:+.{metric.digits}f} {metric.unit}"]
    error = None
    if interval is not None and np.isfinite(interval.low):
        low, high = metric.scale * interval.low, metric.scale * interval.high
        error = {"array": [high - mean], "arrayminus": [mean - low], "thickness": 2.5, "width": 8}
        span = f"{low:+.{metric.digits}f} to {high:+.{metric.digits}f}"
        words.append(f"{confidence} interval {span}")
    made.add_scatter(
        x=[1],
        y=[mean],
        xaxis="x2",
        yaxis="y2",
        mode="markers",
        marker={"symbol": "diamond", "size": 12, "color": NEUTRAL},
        error_y=error,
        showlegend=False,
        hovertemplate=hover(*words),
    )


def _add_margins(made: go.Figure, smallest: float) -> None:
    """What does not matter as a band around a line at 0."""
    beside = {"xref": "x2 domain", "yref": "y2", "x0": 0, "x1": 1}
    band = {"fillcolor": NEUTRAL, "opacity": 0.18, "line": {"width": 0}, "layer": "below"}
    made.add_shape(type="rect", y0=-smallest, y1=smallest, **beside, **band)
    made.add_shape(type="line", y0=0, y1=0, **beside, line={"color": NEUTRAL, "width": 1.5})


def _colour(side: ArmStyle | None) -> str:
    return side.colour if side else NEUTRAL
