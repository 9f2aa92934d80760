"""Agreement of two arms: a matrix of who is right."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go

from tl_engine.charts.style import SEQUENTIAL, figure, say_empty
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
        f"{total:,} images, {markup(of_what)}, validation split, last epoch",
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
        return say_empty(made, "It is drawn when a pair has finished in both arms.")
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
        customdata=np.dstack([np.array(words, object), counts.astype(object)]),
        text=[
            [f"{n:,}<br>{share:.1f} %" for n, share in zip(*row, strict=True)]
            for row in zip(counts, shares, strict=True)
        ],
        texttemplate="%{text}",
        hovertemplate="%{customdata[0]}<br>%{customdata[1]:,} images, %{z:.1f} %<extra></extra>",
        xgap=2,
        ygap=2,
    )
    return made
