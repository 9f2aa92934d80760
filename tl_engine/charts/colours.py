"""Colours of arms, of phases and of scales; all can be seen in the light and the dark theme."""

from __future__ import annotations

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
FROZEN, THAWED, PARTIAL = "#A9D3EC", "#F2B35E", "#D7CFA6"
ON_PHASE = "#14222C"
"""Text on a phase's colour."""
NEUTRAL = "#808890"
"""What belongs to no arm, or to several."""
GRID = "rgba(128,128,128,0.22)"
SEQUENTIAL = ((0.0, "#EEF3F8"), (0.5, "#86B3E2"), (1.0, "#1F4E8C"))
MIDDLE = "#F1F3F5"
"""Between two arms. Opaque: Plotly chooses a number's colour by its cell's, and does not see what
shines through."""
Scale = tuple[tuple[float, str], ...]
"""Places from 0 to 1, with their colours."""


def diverging(first: str, second: str) -> Scale:
    """A scale from the second arm's colour (hex) to the first arm's."""
    return (0.0, second), (0.5, MIDDLE), (1.0, first)


def phase_colour(trainable: str | int) -> str:
    """Ice for a frozen backbone, amber for a free one, sand for some blocks."""
    return {"head": FROZEN, "all": THAWED}.get(str(trainable), PARTIAL)


def translucent(colour: str, opacity: float) -> str:
    """A hex colour with an opacity, as Plotly wants it."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{opacity})"
