"""What two arms made of the same images: who is right, how far they are from each other and from
themselves, and how often one is right when it is so sure."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.calibration import BINS
from tl_engine.charts.heatmap_cells import PERCENT
from tl_engine.charts.style import (
    NEUTRAL,
    NO_PAIR,
    NO_RUN,
    add_silent_line,
    figure,
    hover,
    say_empty,
    translucent,
)
from tl_engine.text import markup

LARGEST = 22
"""Pixels across the dot of the bin with most images."""


def agreement_matrix(counts: np.ndarray, first: str, second: str, of_what: str) -> go.Figure:
    """Images by who is right, with their shares: counts (2, 2) as
    `analysis.agreement.agreement_counts` gives them, of the pairs in words, such as "pair 3"."""
    total = int(counts.sum())
    made = figure(
        "Who is right",
        f"{total:,} predictions, {markup(of_what)}, validation split, last epoch",
        height=360,
    )
    rows, columns = markup(first, 24), markup(second, 24)
    axis = {"tickvals": [0, 1], "showgrid": False}
    made.update_xaxes(axis, ticktext=[f"{columns}<br>right", f"{columns}<br>wrong"])
    made.update_yaxes(axis, ticktext=[f"{rows}<br>right", f"{rows}<br>wrong"], autorange="reversed")
    if not total:
        return say_empty(made, NO_PAIR)
    shares = 100 * counts / total
    words = [["Both right", f"Only {rows} right"], [f"Only {columns} right", "Both wrong"]]
    return made.add_heatmap(
        z=shares,
        x=[0, 1],
        y=[0, 1],
        xgap=2,
        ygap=2,
        customdata=np.dstack([np.array(words, object), counts.astype(object)]),
        text=[
            [f"{n:,}<br>{share:.1f} %" for n, share in zip(*row, strict=True)]
            for row in zip(counts, shares, strict=True)
        ],
        texttemplate="%{text}",
        hovertemplate=hover("%{customdata[0]}", "%{customdata[1]:,} predictions, %{z:.1f} %"),
        **PERCENT,
    )


def apart_bars(rows: pd.DataFrame) -> go.Figure:
    """Bars of how often two runs take the same images for different classes.

    Args:
        rows: columns who (runs of whom, in words), share (mean over couples of runs, 0 to 1),
            couples and colour (hex).
    """
    drawn = rows[rows["couples"] > 0]
    made = figure(
        "Another network, or another seed?",
        "validation images that two runs take for<br>different classes, last epoch,<br>"
        "mean over couples of runs",
        height=206 + 46 * max(len(drawn), 2),
        margin_t=116,
    )
    if drawn.empty:
        return say_empty(made, NO_PAIR)
    names = [
        f"{markup(who, 60)}<br>{couples:,} couples of runs"
        for who, couples in zip(drawn["who"], drawn["couples"], strict=True)
    ]
    places = list(range(len(drawn)))
    made.update_yaxes(tickvals=places, ticktext=names, autorange="reversed")
    longest = max(drawn["share"].max(), 0.01)
    made.update_xaxes(title="Different classes", tickformat=".0%", range=[0, 1.25 * longest])
    return made.add_bar(
        x=list(drawn["share"]),
        y=places,
        orientation="h",
        width=0.62,
        marker={"color": drawn["colour"]},
        text=drawn["share"].map("{:.1%}".format),
        textposition="outside",
        cliponaxis=False,
        hovertemplate=hover("%{x:.1%}"),
    )


def reliability_diagram(bins: pd.DataFrame, title: str, colour: str, of_what: str) -> go.Figure:
    """A dot per bin of confidence (`analysis.calibration.reliability`), as large as it has images,
    over what a calibrated model would show with 95 %; of a run in words, such as "pair 3"."""
    images = int(bins["images"].sum())
    made = figure(
        markup(title),
        f"{images:,} images, {markup(of_what)}, validation split, last epoch<br>"
        f"{BINS} bins; grey: where 95 % of calibrated models lie",
        margin_t=100,
    )
    axis = {"range": [0, 1.04], "tickformat": ".0%"}
    made.update_xaxes(axis, title="Confidence").update_yaxes(axis, title="Share right")
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
    return made.add_scatter(
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
