"""Agreement of two arms: a matrix of who is right, and how far they are from each other and from
themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import plotly.graph_objects as go

from tl_engine.charts.colours import NEUTRAL, SEQUENTIAL
from tl_engine.charts.style import NO_PAIR, figure, hover, say_empty
from tl_engine.text import markup

NAME = 24
"""Letters of an arm's name on an axis."""


def agreement_matrix(counts: np.ndarray, first: str, second: str, of_what: str) -> go.Figure:
    """Images by who is right, with their shares.

    Args:
        counts: (2, 2), as analysis.agreement.agreement_counts gives them.
        of_what: the pairs that are counted, such as "pair 3".
    """
    total = int(counts.sum())
    made = figure(
        "Who is right",
        f"{total:,} predictions, {markup(of_what)}, validation split, last epoch",
        height=360,
    )
    one, other = markup(first, NAME), markup(second, NAME)
    made.update_xaxes(
        tickvals=[0, 1], ticktext=[f"{other}<br>right", f"{other}<br>wrong"], showgrid=False
    )
    made.update_yaxes(
        tickvals=[0, 1],
        ticktext=[f"{one}<br>right", f"{one}<br>wrong"],
        autorange="reversed",
        showgrid=False,
    )
    if not total:
        return say_empty(made, NO_PAIR)
    shares = 100 * counts / total
    words = [["Both right", f"Only {one} right"], [f"Only {other} right", "Both wrong"]]
    made.add_heatmap(
        z=shares,
        x=[0, 1],
        y=[0, 1],
        zmin=0,
        zmax=100,
        colorscale=SEQUENTIAL,
        showscale=False,
        xgap=2,
        ygap=2,
        customdata=np.dstack([np.array(words, object), counts.astype(object)]),
        text=[
            [f"{n:,}<br>{share:.1f} %" for n, share in zip(*row, strict=True)]
            for row in zip(counts, shares, strict=True)
        ],
        texttemplate="%{text}",
        hovertemplate=hover("%{customdata[0]}", "%{customdata[1]:,} predictions, %{z:.1f} %"),
    )
    return made


class Apart(NamedTuple):
    """How often two runs say different classes of the same images.

    Attributes:
        who: in words.
        share: mean over couples of runs, 0 to 1.
        couples: of runs.
        colour: hex; of an arm where both are of it.
    """

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
    names = [f"{markup(row.who, 60)}<br>{row.couples:,} couples of runs" for row in drawn]
    made.add_bar(
        x=[row.share for row in drawn],
        y=list(range(len(drawn))),
        orientation="h",
        width=0.62,
        marker={"color": [row.colour for row in drawn]},
        text=[f"{row.share:.1%}" for row in drawn],
        textposition="outside",
        cliponaxis=False,
        hovertemplate=hover("%{x:.1%}"),
    )
    made.update_yaxes(tickvals=list(range(len(drawn))), ticktext=names, autorange="reversed")
    longest = max(max(row.share for row in drawn), 0.01)
    made.update_xaxes(title="Different classes", tickformat=".0%", range=[0, 1.25 * longest])
    return made
