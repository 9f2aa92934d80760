"""Reliability: how often a model is right when it is so sure."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.calibration import BINS
from tl_engine.charts.colours import NEUTRAL, translucent
from tl_engine.charts.style import NO_RUN, add_silent_line, figure, hover, say_empty
from tl_engine.text import markup

LARGEST = 22
"""Pixels across the dot of the bin with most images."""


def reliability_diagram(bins: pd.DataFrame, title: str, colour: str, of_what: str) -> go.Figure:
    """A dot per bin of confidence, as large as it has images, over what a calibrated model would
    show with 95 %.

    Args:
        bins: as analysis.calibration.reliability gives them.
        colour: the arm's.
        of_what: the run, such as "pair 3".
    """
    images = int(bins["images"].sum())
    made = figure(
        markup(title),
        f"{images:,} images, {markup(of_what)}, validation split, last epoch<br>"
        f"{BINS} bins; grey: where 95 % of calibrated models lie",
        height=430,
        margin_t=100,
    )
    axis = {"range": [0, 1.04], "tickformat": ".0%"}
    made.update_xaxes(title="Confidence", **axis)
    made.update_yaxes(title="Share right", **axis)
    if not images:
        return say_empty(made, NO_RUN)
    made.add_bar(
        x=(bins["bin"] + 0.5) / BINS,
        base=bins["low"],
        y=bins["high"] - bins["low"],
        width=1 / BINS,
        marker={"color": translucent(NEUTRAL, 0.3), "line": {"width": 0}},
        hoverinfo="skip",
        showlegend=False,
    )
    add_silent_line(made, [0, 1], [0, 1], {"color": NEUTRAL, "width": 1, "dash": "dot"})
    made.add_scatter(
        x=bins["confidence"],
        y=bins["accuracy"],
        mode="lines+markers",
        line={"color": colour, "width": 1.5},
        marker={"size": 6 + (LARGEST - 6) * (bins["images"] / bins["images"].max()) ** 0.5},
        showlegend=False,
        customdata=bins[["images", "low", "high"]],
        hovertemplate=hover(
            "said %{x:.1%}, right %{y:.1%}",
            "%{customdata[0]:,} images; calibrated: %{customdata[1]:.1%} to %{customdata[2]:.1%}",
        ),
    )
    return made
