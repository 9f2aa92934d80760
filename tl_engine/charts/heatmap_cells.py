"""Cells of a heat map: their shades, clicks on them, and the one that is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go

from tl_engine.charts.style import MIDDLE, ON_PHASE, SEQUENTIAL

CLICKABLE = 30
"""Up to so many classes have cells that a finger or a mouse can hit."""
PERCENT = {"colorscale": SEQUENTIAL, "zmin": 0, "zmax": 100, "showscale": False}
Cell = tuple[int, int]
"""Row and column of a matrix, from 0."""


def of_difference(first: str, second: str, limit: float) -> dict[str, Any]:
    """Shades from the second arm's colour (hex) at minus so many points to the first arm's."""
    return {
        "colorscale": ((0.0, second), (0.5, MIDDLE), (1.0, first)),
        "zmin": -limit,
        "zmax": limit,
        "colorbar": {"title": "points", "thickness": 12},
    }


def clickable(made: go.Figure, chosen: Cell | None = None) -> go.Figure:
    """A copy of a figure of one heat map over places 0, 1, ... whose cells report clicks, with a
    frame around the chosen one.

    Selections of a heat map are reported to nobody; those of a scatter's points are. So every
    cell has an invisible point in its middle, which shows the words of the cell on hover, and is
    found from anywhere in the cell because it is the nearest.
    """
    copy = go.Figure(made)
    if not copy.data or len(copy.data[0].y) > CLICKABLE:
        return copy
    heat = copy.data[0]
    rows, columns = np.nonzero(np.isfinite(np.asarray(heat.z, float)))
    facts = [[*heat.customdata[y][x], heat.z[y][x]] for y, x in zip(rows, columns, strict=True)]
    shown = len(facts[0]) - 1 if facts else 0
    copy.add_scatter(
        x=columns,
        y=rows,
        mode="markers",
        marker={"size": 8, "opacity": 0},
        selected_marker_opacity=0,
        unselected_marker_opacity=0,
        customdata=facts,
        hovertemplate=heat.hovertemplate.replace("%{z", f"%{{customdata[{shown}]"),
        showlegend=False,
    )
    # A drag would move the matrix away, and on a telephone hold the page.
    copy.update_xaxes(fixedrange=True).update_yaxes(fixedrange=True)
    copy.update_layout(hoverdistance=-1, hovermode="closest")
    if chosen is not None:
        y, x = chosen
        for colour, width in (("#FFFFFF", 5), (ON_PHASE, 2)):  # seen on every shade
            line = {"color": colour, "width": width}
            copy.add_shape(type="rect", x0=x - 0.5, x1=x + 0.5, y0=y - 0.5, y1=y + 0.5, line=line)
    return copy
