"""The interaction of two factors: whether an order's effect depends on another setting."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import arm_colours, wrapped
from tl_engine.charts.style import BELOW, NO_RUN, figure, hover, say_empty
from tl_engine.text import markup

SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "star", "cross", "hexagon")
"""Levels differ in shape as well as in colour."""
GAP = 0.03
"""Part of the width between facets."""


def interaction(frame: pd.DataFrame, factor: str, words: str, facet: str = "") -> go.Figure:
    """Orders on x, a line per level of the other factor through its means, a dot per seed; lines
    that are not parallel say that the factors interact.

    Args:
        frame: columns order, factor, seed, value (a share) and, where there is a third factor,
            facet, each of whose levels is drawn on its own.
        factor, facet: what the columns of those names are called.
        words: what the subtitle says of n and split.
    """
    made = figure(
        f"Order and {markup(factor)}",
        f"{markup(words, 120)}<br>lines: means; dots: seeds<br>not parallel: the two interact",
        margin_t=154 if facet else 114,
        height=470,
        legend=BELOW,
    )
    made.update_yaxes(title="Validation accuracy", tickformat=".1%")
    frame = frame.dropna(subset="value")
    if frame.empty:
        return say_empty(made, NO_RUN)
    facets = (frame if facet else frame.assign(facet="")).groupby("facet", sort=False)
    orders = list(dict.fromkeys(frame["order"]))
    colours = arm_colours(frame["factor"])
    for place, (level, in_facet) in enumerate(facets):
        axis = str(place + 1) if place else ""
        made.update_layout({f"xaxis{axis}": _axis(place, len(facets), orders)})
        if facet:
            _add_title(made, axis, f"{facet}: " + str(level))
        for number, (setting, colour) in enumerate(colours.items()):
            rows = in_facet[in_facet["factor"] == setting]
            if len(rows):
                shift = 0.08 * (number - (len(colours) - 1) / 2)
                look = {"color": colour, "symbol": SYMBOLS[number % len(SYMBOLS)]}
                _add_level(made, rows, orders, shift, axis, markup(str(setting)), look)
    return made


def _axis(place: int, facets: int, orders: list[str]) -> dict[str, Any]:
    """The x axis of a facet; all facets share the y axis."""
    width = (1 - GAP * (facets - 1)) / facets
    begin = place * (width + GAP)
    return {
        "domain": [begin, begin + width],
        "tickvals": list(range(len(orders))),
        "ticktext": [wrapped(order) for order in orders],
        "tickangle": 0,
        "range": [-0.4, len(orders) - 0.6],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
    }


def _add_title(made: go.Figure, axis: str, title: str) -> None:
    top = {"x": 0.5, "y": 1, "yref": "paper", "yanchor": "bottom", "showarrow": False}
    made.add_annotation(text=markup(title, 40), xref=f"x{axis} domain", **top)


def _add_level(
    made: go.Figure,
    rows: pd.DataFrame,
    orders: list[str],
    shift: float,
    axis: str,
    name: str,
    look: dict[str, str],
) -> None:
    """Draw a level's seeds and the line through its means, a little beside those of others; it has
    an entry in the legend where it is drawn first."""
    means = rows.groupby("order")["value"].mean().reindex(orders)
    shared = {"xaxis": f"x{axis}", "legendgroup": name}
    is_first = name not in {trace.name for trace in made.data}
    made.add_scatter(
        x=[orders.index(order) + shift for order in rows["order"]],
        y=rows["value"],
        mode="markers",
        marker={**look, "size": 5, "opacity": 0.45},
        showlegend=False,
        customdata=rows["seed"],
        hovertemplate=hover(f"{name}, pair %{{customdata}}: %{{y:.1%}}"),
        **shared,
    )
    made.add_scatter(
        x=[at + shift for at in range(len(orders))],
        y=means,
        mode="lines+markers",
        line={"color": look["color"], "width": 2.5},
        marker={"size": 10, "symbol": look["symbol"]},
        name=name,
        showlegend=is_first,
        customdata=[markup(order) for order in orders],
        hovertemplate=hover(f"{name}, %{{customdata}}", "mean %{y:.1%}"),
        **shared,
    )
