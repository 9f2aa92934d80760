"""What all figures share: colours, which can be seen in the light and the dark theme, and the
template with title, subtitle, axes and words."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from tl_engine.text import markup, plain

ARMS = (
    "#7C5CD6",  # violet
    "#1B8F6B",  # green
    "#C38700",  # amber
    "#5A6900",  # olive
    "#C30096",  # magenta
    "#879696",  # grey
    "#E10F4B",  # red
    "#785A69",  # mauve
)
"""Colours of arms: at least 3:1 against white and #0E1117, and far enough apart (CIEDE2000 of 10
and more) for eyes that lack a kind of cone as well, found by search."""
ON_PHASE = "#14222C"
"""Text on a phase's colour."""
NEUTRAL = "#808890"
"""What belongs to no arm, or to several."""
GRID = "rgba(128,128,128,0.22)"
SEQUENTIAL = ((0.0, "#EEF3F8"), (0.5, "#86B3E2"), (1.0, "#1F4E8C"))
MIDDLE = "#F1F3F5"
"""Between two arms. Opaque: Plotly chooses a number's colour by its cell's, and does not see what
shines through."""
BELOW = {"yref": "container", "y": 0, "yanchor": "bottom"}
"""A legend that may be long: at the very bottom, which the axes make room for."""
LINE, LONGEST_LINE = 20, 52
"""Height in pixels and letters of a line under a title, which a telephone shows whole."""
NO_RUN = "It is drawn when a run has finished."
NO_PAIR = "It is drawn when a pair has finished in both arms."
_WORD = re.compile(r"(?:<[^>]*>|[^\s<])+")
"""With the tags in it, whatever these hold."""


def phase_colour(trainable: str | int) -> str:
    """Ice for a frozen backbone, amber for a free one, sand for some blocks."""
    return {"head": "#A9D3EC", "all": "#F2B35E"}.get(str(trainable), "#D7CFA6")


def layers(trainable: str | int) -> str:
    """What trains, in words: "Head only", "All layers", "Top 3"."""
    words = {"head": "Head only", "all": "All layers"}
    return words.get(str(trainable), f"Top {str(trainable).removeprefix('top ')}")


def rate(learning_rate: float) -> str:
    """A learning rate as people write it: 1e-5, 0.001."""
    return f"{learning_rate:g}".replace("e-0", "e-")


def fitting(words: Sequence[str], room: float) -> str:
    """The first of the words that fits into so many pixels at 12 px, where a letter is 6.6 wide;
    nothing where none does."""
    return next((word for word in words if len(word) * 6.6 < room - 8), "")


def translucent(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as Plotly wants it."""
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},{opacity})"


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
        legend={"orientation": "h", "y": -0.2, "yanchor": "top", "x": 0},
        # A saved picture has not got the page's font; a legend measured in it would be cut there.
        legend_font_family="sans-serif",
        uirevision=title,
        hoverlabel={"align": "left"},
    )
    made.update_layout(**layout)
    _make_room(made, LINE * more + 8)
    # Looking for labels past the edge takes a third of the drawing; automargin leaves none.
    axis = {"gridcolor": GRID, "zeroline": False, "ticklabeloverflow": "allow", "automargin": True}
    return made.update_xaxes(axis).update_yaxes(axis)


def with_line(made: go.Figure, words: str) -> go.Figure:
    """The figure with more words under its title."""
    folded, more = _folded(markup(words, 120))
    made.layout.title.subtitle.text += f"<br>{folded}"
    return _make_room(made, LINE * (1 + more))


def titles_of(made: go.Figure) -> tuple[str, str]:
    """A figure's title and subtitle as plain text on one line each."""
    texts = made.layout.title.text, made.layout.title.subtitle.text
    first, second = (plain(unescape(re.sub("<[^>]*>", " ", text or ""))) for text in texts)
    return first, second


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


def _make_room(made: go.Figure, pixels: int) -> go.Figure:
    above, height = made.layout.margin.t, made.layout.height
    return made.update_layout(height=height + pixels, margin_t=above + pixels)


def say_empty(made: go.Figure, sentence: str) -> go.Figure:
    """Write into an empty figure when it will be drawn."""
    made.add_annotation(
        text=sentence, showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper", opacity=0.7
    )
    return made.update_xaxes(visible=False).update_yaxes(visible=False)


def around(values: np.ndarray, least: float) -> list[float]:
    """An axis' range that holds the finite values with a margin, and spans at least so much."""
    found = values[np.isfinite(values)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 0.0)
    margin = max(0.08 * (high - low), (least - (high - low)) / 2)
    return [low - margin, high + margin]


def hover(*lines: str) -> str:
    """What stands above a point when it is touched; Plotly fills in %{x} and the like."""
    return "<br>".join(lines) + "<extra></extra>"


def add_silent_line(made: go.Figure, x: Any, y: Any, line: dict[str, Any]) -> None:
    """Draw a line that neither the legend nor the mouse knows of."""
    made.add_scatter(x=x, y=y, mode="lines", line=line, showlegend=False, hoverinfo="skip")
