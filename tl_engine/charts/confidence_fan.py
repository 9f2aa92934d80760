"""The confidence fan: how the estimate and its always-valid band move as pairs come in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import Interval
from tl_engine.charts.colours import NEUTRAL, translucent
from tl_engine.charts.style import around, figure, hover, say_empty
from tl_engine.metric import ACCURACY, Metric
from tl_engine.text import markup

BAND = "#5B8DB8"
"""Belongs to no arm: the difference of two."""
TICKS = 12
"""On the axis of pairs at most."""


def confidence_fan(
    fan: pd.DataFrame,
    first: str,
    second: str,
    smallest: float,
    planned: int,
    words: str,
    metric: Metric = ACCURACY,
    final: Interval | None = None,
    confidence: str = "95 %",
) -> go.Figure:
    """The mean difference against the number of pairs, with its confidence sequence.

    Args:
        fan: of `analysis.paired_scores.confidence_fan`; where its band is infinite none is drawn.
        first, second: what the arms are called.
        smallest: the smallest difference that matters, in the metric's column: the dashed lines.
        planned: pairs that were planned: the dotted line; 0 where nobody fixed a number.
        words: what the subtitle says of n, split and metric.
        final: the verdict's interval once all planned pairs are in: narrower, for it holds at that
            number alone.
        confidence: of the band, as the verdict's: Holm's procedure raises it.
    """
    made = figure(
        "As pairs come in",
        f"{markup(first)} minus {markup(second)}<br>{markup(words)}<br>"
        f"{_explained(fan, final, confidence)}<br>"
        f"dashed: the ±{metric.amount(smallest)} that matter",
        margin_t=130,
        height=460,
        showlegend=False,
        uirevision="fan",
    )
    last = max(planned, int(fan["pairs"].max()) if len(fan) else 0)
    made.update_xaxes(title="Pairs", range=[1.5, last + 0.5], tick0=0, dtick=-(-last // TICKS) or 1)
    made.update_yaxes(title=f"Mean difference, {metric.unit}", tickformat="+.2~f")
    if fan.empty:
        return say_empty(made, "It is drawn when two pairs have finished in both arms.")
    fan = fan.assign(**{name: metric.scale * fan[name] for name in ("difference", "low", "high")})
    _add_band(made, fan[np.isfinite(fan["low"])])
    _add_lines(made, metric.scale * smallest, planned)
    made.add_scatter(
        x=fan["pairs"],
        y=fan["difference"],
        mode="lines+markers",
        line={"color": BAND, "width": 2.5},
        marker={"size": 6},
        customdata=[
            f"{confidence}: {_span(low, high, metric)}" if np.isfinite(low) else "no interval yet"
            for low, high in fan[["low", "high"]].to_numpy(float)
        ],
        hovertemplate=hover(f"%{{x}} pairs: {metric.hover('y')}", "%{customdata}"),
    )
    bars = metric.scale * np.array([*(final or ()), -smallest, smallest])
    seen = fan[["difference", "low", "high"]].to_numpy(float).ravel()
    made.update_yaxes(range=around(np.concatenate([seen, bars]), 0.0))
    if final is not None:
        _add_final(made, len(fan) + 1, float(fan["difference"].iloc[-1]), final, metric)
    return made


def _explained(fan: pd.DataFrame, final: Interval | None, confidence: str) -> str:
    has_band = np.isfinite(fan["low"].astype(float)).any()
    band = (
        f"band: {confidence}, however often one looks" if has_band else "no band yet: too few pairs"
    )
    return band if final is None else f"{band}; bar: the verdict's interval"


def _add_final(made: go.Figure, place: int, mean: float, final: Interval, metric: Metric) -> None:
    low, high = metric.scale * final.low, metric.scale * final.high
    made.add_scatter(
        x=[place],
        y=[mean],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": NEUTRAL},
        error_y={"array": [high - mean], "arrayminus": [mean - low], "thickness": 2.5, "width": 7},
        hovertemplate=hover("all planned pairs", _span(low, high, metric)),
    )


def _add_lines(made: go.Figure, smallest: float, planned: int) -> None:
    """No difference, the smallest that matters on either side, and where the plan ends."""
    for place, dash in ((0.0, "solid"), (smallest, "dash"), (-smallest, "dash")):
        made.add_hline(y=place, line={"color": NEUTRAL, "width": 1.5, "dash": dash})
    if not planned:
        return
    made.add_vline(x=planned, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    made.add_annotation(
        text=f"{planned} planned",
        x=planned,
        y=0,
        yref="paper",
        xanchor="right",
        yanchor="bottom",
        showarrow=False,
    )


def _add_band(made: go.Figure, fan: pd.DataFrame) -> None:
    """Draw both edges as one outline: the pairs at which the band is finite are consecutive."""
    made.add_scatter(
        x=[*fan["pairs"], *fan["pairs"][::-1]],
        y=[*fan["high"], *fan["low"][::-1]],
        mode="lines",
        line={"color": translucent(BAND, 0.5), "width": 1},
        fill="toself",
        fillcolor=translucent(BAND, 0.2),
        hoverinfo="skip",
    )


def _span(low: float, high: float, metric: Metric) -> str:
    return f"{low:+.{metric.digits}f} to {high:+.{metric.digits}f}"
