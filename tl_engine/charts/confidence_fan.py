"""The confidence fan: how the estimate and its always-valid band move as pairs come in."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import Interval
from tl_engine.charts.pair_points import add_mean, span
from tl_engine.charts.style import NEUTRAL, around, figure, hover, say_empty, translucent
from tl_engine.metric import ACCURACY, Metric
from tl_engine.text import markup

BAND = "#5B8DB8"
"""Belongs to no arm: the difference of two."""


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
    """The mean difference of two arms against the number of pairs, with its confidence sequence.

    Args:
        fan: of `analysis.paired_scores.confidence_fan`; where its band is infinite none is drawn.
        smallest: the smallest difference that matters, in the metric's column: the dashed lines.
        planned: pairs that were planned: the dotted line; 0 where nobody fixed a number.
        words: what the subtitle says of n, split and metric.
        final: the verdict's interval once all planned pairs are in: narrower, for it holds at that
            number alone.
        confidence: of the band, as the verdict's: Holm's procedure raises it.
    """
    drawn = "no band yet: too few pairs"
    if np.isfinite(fan["low"].astype(float)).any():
        drawn = f"band: {confidence}, however often one looks"
    if final is not None:
        drawn += "; bar: the verdict's interval"
    made = figure(
        "As pairs come in",
        f"{markup(first)} minus {markup(second)}<br>{markup(words)}<br>{drawn}<br>"
        f"dashed: the ±{metric.amount(smallest)} that matter",
        margin_t=130,
        height=460,
        showlegend=False,
    )
    last = max(planned, int(fan["pairs"].max()) if len(fan) else 0)
    step = -(-last // 12) or 1  # at most twelve ticks
    made.update_xaxes(title="Pairs", range=[1.5, last + 0.5], tick0=0, dtick=step)
    made.update_yaxes(title=f"Mean difference, {metric.unit}", tickformat="+.2~f")
    if fan.empty:
        return say_empty(made, "It is drawn when two pairs have finished in both arms.")
    matters = metric.scale * smallest
    fan = fan.assign(**{name: metric.scale * fan[name] for name in ("difference", "low", "high")})
    _add_band(made, fan[np.isfinite(fan["low"])])
    _add_borders(made, matters, planned)
    made.add_scatter(
        x=fan["pairs"],
        y=fan["difference"],
        mode="lines+markers",
        line={"color": BAND, "width": 2.5},
        marker={"size": 6},
        customdata=[
            f"{confidence}: {span(low, high, metric)}" if np.isfinite(low) else "no interval yet"
            for low, high in fan[["low", "high"]].to_numpy(float)
        ],
        hovertemplate=hover(f"%{{x}} pairs: {metric.hover('y')}", "%{customdata}"),
    )
    bar = (metric.scale * final.low, metric.scale * final.high) if final else None
    seen = fan[["difference", "low", "high"]].to_numpy(float).ravel()
    made.update_yaxes(range=around(np.array([*seen, *(bar or ()), -matters, matters]), 0.0))
    if bar:
        mean = float(fan["difference"].iloc[-1])
        add_mean(made, len(fan) + 1, mean, bar, 11, ["all planned pairs", span(*bar, metric)])
    return made


def _add_borders(made: go.Figure, smallest: float, planned: int) -> None:
    """No difference, the smallest that matters on either side, and where the plan ends."""
    for place, dash in ((0.0, "solid"), (smallest, "dash"), (-smallest, "dash")):
        made.add_hline(y=place, line={"color": NEUTRAL, "width": 1.5, "dash": dash})
    if planned:
        made.add_vline(x=planned, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
        corner = {"y": 0, "yref": "paper", "xanchor": "right", "yanchor": "bottom"}
        made.add_annotation(text=f"{planned} planned", x=planned, showarrow=False, **corner)


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
