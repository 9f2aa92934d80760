"""The template of all figures: title, subtitle, axes that suit both themes, empty figures."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tl_engine.charts.colours import GRID
from tl_engine.text import markup, plain

BELOW = {"yref": "container", "y": 0, "yanchor": "bottom"}
"""A legend that may be long: at the very bottom, which the axes make room for."""
LINE, LONGEST_LINE = 20, 52
"""Height in pixels and letters of a line under a title, which a telephone shows whole."""
GAP = 8
"""Pixels between the last line and the chart."""
NO_RUN = "It is drawn when a run has finished."
NO_PAIR = "It is drawn when a pair has finished in both arms."
_WORD = re.compile(r"(?:<[^>]*>|[^\s<])+")
"""With the tags in it, whatever these hold."""


def figure(title: str, subtitle: str, **layout: Any) -> go.Figure:
    """An empty figure in the house style; zoom survives a refresh with the same title."""
    made, subtitle, more = go.Figure(), *_folded(subtitle)
    made.update_layout(
        height=430,
        title={"text": title, "subtitle": {"text": subtitle}, "x": 0, "xref": "paper"},
        # No ground of its own: Streamlit gives it the page's, so that in a saved picture words that
        # suit a dark page stand on a dark one.
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 10, "r": 10, "t": 80, "b": 10},
        # A saved picture has not got the page's font; a legend measured in it would be cut there.
        legend={
            "orientation": "h",
            "y": -0.2,
            "yanchor": "top",
            "x": 0,
            "font": {"family": "sans-serif"},
        },
        uirevision=title,
        hoverlabel={"align": "left"},
    )
    made.update_layout(**layout)
    _make_room(made, LINE * more + GAP)
    # Looking for labels past the edge takes a third of the drawing; automargin leaves none.
    axis = {"gridcolor": GRID, "zeroline": False, "ticklabeloverflow": "allow"}
    made.update_xaxes(automargin=True, **axis)
    made.update_yaxes(automargin=True, **axis)
    return made


def with_line(made: go.Figure, words: str) -> go.Figure:
    """The figure with more words under its title."""
    folded, more = _folded(markup(words, 120))
    made.layout.title.subtitle.text += f"<br>{folded}"
    _make_room(made, LINE * (1 + more))
    return made


def titles_of(made: go.Figure) -> tuple[str, str]:
    """A figure's title and subtitle as plain text on one line each."""
    title = made.layout.title
    first, second = (
        unescape(re.sub("<[^>]*>", " ", one or "")) for one in (title.text, title.subtitle.text)
    )
    return plain(first), plain(second)


def _folded(subtitle: str) -> tuple[str, int]:
    """The subtitle with its long lines broken between words, and how many lines that adds."""
    lines = [part for line in subtitle.split("<br>") for part in _parts(line)]
    return "<br>".join(lines), len(lines) - 1 - subtitle.count("<br>")


def _parts(line: str) -> list[str]:
    """As few as can be, and then as equally long as can be."""
    tried = [_filled(line, letters) for letters in range(LONGEST_LINE, 0, -1)]
    return [parts for parts in tried if len(parts) == len(tried[0])][-1]


def _filled(line: str, letters: int) -> list[str]:
    parts: list[str] = []
    for word in _WORD.findall(line):
        longer = f"{parts[-1]} {word}" if parts else word
        if parts and len(unescape(re.sub("<[^>]*>", "", longer))) <= letters:
            parts[-1] = longer
        else:
            parts.append(word)
    return parts or [""]


def _make_room(made: go.Figure, pixels: int) -> None:
    above, height = made.layout.margin.t, made.layout.height
    made.update_layout(height=height + pixels, margin_t=above + pixels)


def say_empty(made: go.Figure, sentence: str) -> go.Figure:
    """Write into an empty figure when it will be drawn."""
    made.add_annotation(
        text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", opacity=0.7
    )
    made.update_xaxes(visible=False)
    made.update_yaxes(visible=False)
    return made


def around(values: np.ndarray, least: float) -> list[float]:
    """An axis' range that holds the finite values with a margin, and spans at least so much."""
    found = values[np.isfinite(values)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2)
    return [low - margin, high + margin]


def hover(*lines: str) -> str:
    """What stands above a point when it is touched; Plotly fills in %{x} and the like."""
    return "<br>".join(lines) + "<extra></extra>"


def add_silent_line(made: go.Figure, x: Any, y: Any, look: dict[str, Any], **more: Any) -> None:
    """Draw a line that neither the legend nor the mouse knows of.

    Args:
        look: Plotly's line.
    """
    made.add_scatter(x=x, y=y, mode="lines", line=look, showlegend=False, hoverinfo="skip", **more)
