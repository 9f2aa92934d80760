"""What all charts share: colours, names of arms, layout that suits both themes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from html import unescape
from textwrap import wrap
from typing import Any, NamedTuple, TypeVar

import numpy as np
import plotly.graph_objects as go

from tl_engine.text import MAXIMUM_LABEL, markup, plain

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
DASHES, SYMBOLS = ("solid", "dot", "dashdot"), ("circle", "diamond-open", "cross")
"""What tells arms of one colour apart in curves and scores: the first eight, the next, the next."""
NAMED_ARMS = 24
"""Up to so many arms are named on a chart; of more, each tells its name when it is touched."""
FROZEN, THAWED = "#A9D3EC", "#F2B35E"
PARTIAL = "#D7CFA6"
ON_PHASE = "#14222C"
"""Text on a phase's colour."""
SEQUENTIAL = ((0.0, "#EEF3F8"), (0.5, "#86B3E2"), (1.0, "#1F4E8C"))
MIDDLE = "#F1F3F5"
"""Between two arms. Opaque: Plotly chooses a number's colour by its cell's, and does not see what
shines through."""
DIVERGING = ((0.0, ARMS[1]), (0.5, MIDDLE), (1.0, ARMS[0]))
GRID = "rgba(128,128,128,0.22)"
NEUTRAL = "#808890"
"""What belongs to no arm or to several; seen in both themes."""
BELOW = {"yref": "container", "y": 0, "yanchor": "bottom"}
"""A legend that may be long: at the very bottom, which the axes make room for."""
LINE, LONGEST_LINE = 20, 52
"""Height in pixels and letters of a line under a title, which a telephone shows whole."""
GAP = 8
"""Pixels between the last line and the chart."""
_WORD = re.compile(r"(?:<[^>]*>|[^\s<])+")
"""With the tags in it, whatever these hold."""
Key = TypeVar("Key", bound=Hashable)
ArmKey = tuple[str, str]
"""An arm among several studies: (study id, arm name)."""


class ArmStyle(NamedTuple):
    """What an arm is called on a page, and its colour everywhere on it."""

    title: str
    colour: str


def arm_colours(keys: Iterable[Key]) -> dict[Key, str]:
    """A colour per arm, in order of appearance; they repeat after eight."""
    return {key: ARMS[i % len(ARMS)] for i, key in enumerate(dict.fromkeys(keys))}


def arm_cycles(keys: Iterable[Key]) -> dict[Key, int]:
    """An arm's place in DASHES and SYMBOLS; with its colour it repeats after twenty-four arms."""
    return {key: i // len(ARMS) % len(DASHES) for i, key in enumerate(dict.fromkeys(keys))}


def of_page(keys: Sequence[ArmKey], arms: Sequence[ArmKey]) -> list[ArmKey]:
    """All arms of a page in its order, then those that a chart alone has: by them colours are
    given, so that an arm keeps its own where others have nothing to draw."""
    return list(dict.fromkeys([*arms, *keys]))


def phase_colour(trainable: str | int) -> str:
    """Ice for a frozen backbone, amber for a free one, sand for some blocks."""
    return {"head": FROZEN, "all": THAWED}.get(str(trainable), PARTIAL)


def arm_names(keys: Sequence[ArmKey], letters: int | None = None) -> dict[ArmKey, str]:
    """What to call each arm: its name, on a line of its own its study's id where two share a name.

    Args:
        letters: of a line, where a name may take two; None means one line.
    """
    arms = Counter(arm for _, arm in keys)
    return {
        (study, arm): (wrapped(arm, letters) if letters else markup(arm))
        + (f"<br>({markup(study, letters or MAXIMUM_LABEL)})" if arms[arm] > 1 else "")
        for study, arm in keys
    }


def wrapped(name: str, letters: int = 16, lines: int = 2) -> str:
    """A name on several short lines, for beneath a point; cut with an ellipsis."""
    parts = wrap(plain(name), letters, max_lines=lines, placeholder="…", break_on_hyphens=False)
    return "<br>".join(map(markup, parts))


def seeds_words(seeds: Iterable[int]) -> str:
    """How many seeds the arms have: "3 seeds per arm", "1 to 3 seeds per arm"."""
    counts = sorted(set(seeds)) or [0]
    span = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f"{span} seed{'s' if counts[-1] != 1 else ''} per arm"


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


def translucent(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as Plotly wants it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
