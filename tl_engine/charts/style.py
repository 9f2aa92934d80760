"""What all charts share: colours, one way to show names, layout that suits both themes."""

from __future__ import annotations

import html
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

import plotly.graph_objects as go

ARMS = (
    "#7C5CD6",  # violet
    "#1B8F6B",  # green
    "#C9467E",  # rose
    "#9A6B12",  # ochre
    "#3C7FD0",  # blue
    "#6F7780",  # grey
    "#B4582C",  # rust
    "#2A8A99",  # teal
)
"""Colours of arms, told apart by lightness too; at least 3:1 against white and #0E1117."""
FROZEN, THAWED = "#A9D3EC", "#F2B35E"
PARTIAL = "#D7CFA6"
ON_PHASE = "#14222C"
"""Text on a phase's colour."""
SEQUENTIAL = ((0.0, "#EEF3F8"), (0.5, "#86B3E2"), (1.0, "#1F4E8C"))
DIVERGING = ((0.0, ARMS[1]), (0.5, "#F1F3F5"), (1.0, ARMS[0]))
"""Opaque: Plotly chooses a number's colour by its cell's, and does not see what shines through."""
GRID = "rgba(128,128,128,0.22)"
MAXIMUM_NAME = 60

Key = TypeVar("Key", bound=Hashable)


def arm_colours(keys: Iterable[Key]) -> dict[Key, str]:
    """A colour per arm, in order of appearance; they repeat after eight."""
    return {key: ARMS[i % len(ARMS)] for i, key in enumerate(dict.fromkeys(keys))}


def phase_colour(trainable: str | int) -> str:
    """Ice for a frozen backbone, amber for a free one, sand for some blocks."""
    return {"head": FROZEN, "all": THAWED}.get(str(trainable), PARTIAL)


def plain(name: str, limit: int = MAXIMUM_NAME) -> str:
    """A name that people gave, without the meaning that Plotly sees in < and &, and cut."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(name)).split())
    line = line if len(line) <= limit else line[: limit - 1] + "…"
    return html.escape(line)


def figure(title: str, subtitle: str, **layout: Any) -> go.Figure:
    """An empty figure in the house style; zoom survives a refresh with the same title."""
    made = go.Figure()
    made.update_layout(
        height=430,
        title={"text": title, "subtitle": {"text": subtitle}, "x": 0, "xref": "paper"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 80, "b": 10},
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        uirevision=title,
        hoverlabel={"align": "left"},
    )
    made.update_layout(**layout)
    made.update_xaxes(gridcolor=GRID, zeroline=False, automargin=True)
    made.update_yaxes(gridcolor=GRID, zeroline=False, automargin=True)
    return made


def say_empty(made: go.Figure, sentence: str) -> go.Figure:
    """Write into an empty figure what will be there."""
    made.add_annotation(
        text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", opacity=0.7
    )
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    return made


def translucent(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as Plotly wants it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
