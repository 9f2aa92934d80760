"""What two arms made of the same images: who is right, how far they are from each other and from
themselves, and how often one is right when it is so sure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

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

NAME = 24
"""Letters of an arm's name on an axis."""
LARGEST = 22
"""Pixels across the dot of the bin with most images."""


def agreement_matrix(counts: np.ndarray, first: str, second: str, of_what: str) -> go.Figure:
    """Images by who is right, with their shares.

    Args:
        counts: (2, 2), as `analysis.agreement.agreement_counts` gives them.
        of_what: the pairs that are counted, such as "pair 3".
    """
    total = int(counts.sum())
    made = figure(
        "Who is right",
        f"{total:,} predictions, {markup(of_what)}, validation split, last epoch",
        height=360,
    )
    rows, columns = markup(first, NAME), markup(second, NAME)
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


class Apart(NamedTuple):
    """How often two runs take the same images for different classes: runs of whom, in words, the
    mean over couples of runs (0 to 1), and the colour (hex) of an arm where both are of it."""

    who: str
    share: float
    couples: int
    colour: str = NEUTRAL


def apart_bars(rows: Sequence[Apart]) -> go.Figure:
    """Bars of how often runs say different classes: of two arms, and of two seeds of one arm."""
    drawn = [row for row in rows if row.couples]
    made = figure(
        "Another network, or another seed?",
        "validation images that two runs take for<br>different classes, last epoch,<br>"
        "mean over couples of runs",
        height=206 + 46 * max(len(drawn), 2),
        margin_t=116,
    )
    if not drawn:
        return say_empty(made, NO_PAIR)
    places, shares = list(range(len(drawn))), [row.share for row in drawn]
    names = [f"{markup(row.who, 60)}<br>{row.couples:,} couples of runs" for row in drawn]
    made.update_yaxes(tickvals=places, ticktext=names, autorange="reversed")
    longest = max(*shares, 0.01)
    made.update_xaxes(title="Different classes", tickformat=".0%", range=[0, 1.25 * longest])
    return made.add_bar(
        x=shares,
        y=places,
        orientation="h",
        width=0.62,
        marker={"color": [row.colour for row in drawn]},
        text=[f"{share:.1%}" for share in shares],
        textposition="outside",
        cliponaxis=False,
        hovertemplate=hover("%{x:.1%}"),
    )


def reliability_diagram(bins: pd.DataFrame, title: str, colour: str, of_what: str) -> go.Figure:
    """A dot per bin of confidence, as large as it has images, over what a calibrated model would
    show with 95 %.

    Args:
        bins: as `analysis.calibration.reliability` gives them.
        colour: the arm's.
        of_what: the run, such as "pair 3".
    """
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
