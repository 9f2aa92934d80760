"""A small picture of an arm's phases."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tl_engine.charts.colours import ON_PHASE, phase_colour

PhaseFacts = tuple[str | int, int, float]
"""What a picture says of a phase: trainable ("head", "all", 3 or "top 3"), epochs, learning
rate."""
HEIGHT, GAP, CHARACTER = 34, 3, 6.6
"""In pixels: height of the picture, between segments, mean width of a letter at 12 px."""
LEAST_SHARE = 0.6
"""A segment gets at least this part of an even share, so that its words fit."""


def rate(learning_rate: float) -> str:
    """A learning rate as people write it: 1e-5, 0.001."""
    return f"{learning_rate:g}".replace("e-0", "e-")


def layers(trainable: str | int) -> str:
    """What trains, in words: "Head only", "All layers", "Top 3"."""
    words = {"head": "Head only", "all": "All layers"}
    return words.get(str(trainable), f"Top {str(trainable).removeprefix('top ')}")


def fitting(words: Sequence[str], room: float) -> str:
    """The first of the words that fits into so many pixels at 12 px; nothing where none does."""
    return next((word for word in words if len(word) * CHARACTER < room - 8), "")


def phase_label(trainable: str | int, epochs: int, learning_rate: float) -> str:
    """A phase in words: "All layers · 2 epochs · 1e-5"."""
    return (
        f"{layers(trainable)} · {epochs} epoch{'s' if epochs > 1 else ''} · {rate(learning_rate)}"
    )


def phases_svg(phases: Sequence[PhaseFacts], width: int = 420) -> str:
    """The phases as a bar: ice where the backbone is frozen, amber where it is free, as long as
    their epochs.

    Args:
        width: of the picture, in pixels.
    """
    widths = _widths([epochs for _, epochs, _ in phases], width)
    parts, left = [], 0.0
    for facts, wide in zip(phases, widths, strict=True):
        parts.append(segment(facts, left, wide))
        left += wide + GAP
    words = escape(", then ".join(phase_label(*facts) for facts in phases), quote=True)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" '
        f'viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{words}">{"".join(parts)}</svg>'
    )


def _widths(epochs: list[int], width: int) -> list[float]:
    room = width - GAP * (len(epochs) - 1)
    least = LEAST_SHARE * room / len(epochs)
    rest = room - least * len(epochs)
    return [least + rest * count / sum(epochs) for count in epochs]


def segment(facts: PhaseFacts, left: float, wide: float, top: float = 0) -> str:
    """A phase as a part of an SVG picture, HEIGHT pixels high."""
    trainable, epochs, learning_rate = facts
    short = layers(trainable).removesuffix(" only").removesuffix(" layers")
    words = (
        phase_label(*facts),
        f"{short} · {epochs} ep · {rate(learning_rate)}",
        f"{short} · {epochs} ep",
        short,
    )
    middle = top + HEIGHT / 2
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{wide:.1f}" height="{HEIGHT}" rx="5" '
        f'fill="{phase_colour(trainable)}"/>'
        f'<text x="{left + wide / 2:.1f}" y="{middle:.1f}" fill="{ON_PHASE}" font-size="12" '
        f'font-family="system-ui, sans-serif" font-weight="600" text-anchor="middle" '
        f'dominant-baseline="central">{escape(fitting(words, wide))}</text>'
    )
