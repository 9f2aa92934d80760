"""Small SVG pictures: an arm's phases, what the arms of a study share, and a verdict's interval."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from html import escape

from tl_engine.charts.style import NEUTRAL, ON_PHASE, fitting, layers, phase_colour, rate

PhaseFacts = tuple[str | int, int, float]
"""What a picture says of a phase: trainable ("head", "all", 3 or "top 3"), epochs, learning
rate."""
Path = Sequence[tuple[Hashable, PhaseFacts]]
"""An arm's phases, each with what names the state that it ends in: two arms share a phase where
that is equal, not where two phases only look alike."""
PHASES, PHASE, GAP = 420, 34, 3
"""In pixels: width of a bar of phases, its height, and the space between two phases."""
LEAST_SHARE = 0.6
"""A phase gets at least this part of an even share, so that its words fit."""
TREE, ROW, NAME, LONGEST_NAME = 760, PHASE + 8, 240, 38
"""In pixels: width of a tree, height of its rows, and room of an arm's name, of so many letters."""
BRANCH = "#8A97A6"
"""Between a phase and what follows it in another row; to be seen on light and on dark."""
WIDTH, HEIGHT, EDGE = 240, 34, 10
"""Of the picture of an interval, and the free space at its sides, in pixels."""


def phase_label(trainable: str | int, epochs: int, learning_rate: float) -> str:
    """A phase in words: "All layers · 2 epochs · 1e-5"."""
    return (
        f"{layers(trainable)} · {epochs} epoch{'s' if epochs > 1 else ''} · {rate(learning_rate)}"
    )


def phases_svg(phases: Sequence[PhaseFacts]) -> str:
    """The phases as a bar: ice where the backbone is frozen, amber where it is free, as long as
    their epochs."""
    room = PHASES - GAP * (len(phases) - 1)
    least = LEAST_SHARE * room / len(phases)
    rest, total = room - least * len(phases), sum(epochs for _, epochs, _ in phases)
    parts, left = [], 0.0
    for facts in phases:
        width = least + rest * facts[1] / total
        parts.append(_phase(facts, left, width))
        left += width + GAP
    return _svg(PHASES, PHASE, ", then ".join(phase_label(*facts) for facts in phases), parts)


def shares(paths: Sequence[Path]) -> bool:
    """Whether two of the arms share their first phase."""
    return len({path[0][0] for path in paths}) < len(paths)


def tree_svg(paths: Mapping[str, Path]) -> str:
    """A row per arm, a column per phase; a phase that an arm above has too is not drawn again.

    Args:
        paths: by the arm's name its phases; arms that begin alike stand below one another.
    """
    column = (TREE - NAME) / max(len(path) for path in paths.values())
    rows: dict[Hashable, int] = {}
    parts, words = [], []
    for row, (name, path) in enumerate(paths.items()):
        for depth, (end, facts) in enumerate(path):
            if end in rows:
                continue
            rows[end] = row
            left = depth * column
            if depth and (above := rows[path[depth - 1][0]]) != row:
                parts.append(_branch(left - GAP, above, row))
            parts.append(_phase(facts, left, column - 4 * GAP, row * ROW))
        shown = name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
        parts.append(
            f'<text x="{len(path) * column:.1f}" y="{row * ROW + PHASE / 2:.1f}" fill="{BRANCH}" '
            'font-size="12" font-family="system-ui, sans-serif" dominant-baseline="central">'
            f"{escape(shown)}</text>"
        )
        words.append(f"{name}: {', then '.join(phase_label(*facts) for _, facts in path)}")
    return _svg(TREE, len(paths) * ROW, "; ".join(words), parts)


def interval_svg(
    difference: float, low: float, high: float, smallest: float, colour: str, words: str
) -> str:
    """The interval as a thick line in its colour (hex) with its mean, beside a line at no
    difference and the band of differences that do not matter.

    Args:
        difference, low, high, smallest: finite, in the same unit.
        words: what the picture says, for those who do not see it.
    """
    reach = 1.1 * max(abs(low), abs(high), 1.5 * smallest)

    def at(value: float) -> float:
        return round(EDGE + (value / reach + 1) / 2 * (WIDTH - 2 * EDGE), 1)

    middle = HEIGHT / 2
    parts = (
        f'<rect x="{at(-smallest)}" y="4" width="{at(smallest) - at(-smallest):.1f}" '
        f'height="{HEIGHT - 8}" rx="3" fill="{NEUTRAL}" fill-opacity="0.25"/>',
        f'<line x1="{EDGE}" y1="{middle}" x2="{WIDTH - EDGE}" y2="{middle}" stroke="{NEUTRAL}" '
        'stroke-opacity="0.5"/>',
        f'<line x1="{at(0)}" y1="2" x2="{at(0)}" y2="{HEIGHT - 2}" stroke="{NEUTRAL}" '
        'stroke-width="2"/>',
        f'<line x1="{at(low)}" y1="{middle}" x2="{at(high)}" y2="{middle}" stroke="{colour}" '
        'stroke-width="5" stroke-linecap="round"/>',
        f'<circle cx="{at(difference)}" cy="{middle}" r="6.5" fill="{colour}" stroke="#FFFFFF" '
        'stroke-width="1.5"/>',
    )
    return _svg(WIDTH, HEIGHT, words, parts)


def _svg(width: int, height: int, words: str, parts: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        f'viewBox="0 0 {width} {height}" role="img" aria-label="{escape(words, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )


def _phase(facts: PhaseFacts, left: float, width: float, top: float = 0) -> str:
    trainable, epochs, learning_rate = facts
    short = layers(trainable).removesuffix(" only").removesuffix(" layers")
    brief = f"{short} · {epochs} ep"
    words = (phase_label(*facts), f"{brief} · {rate(learning_rate)}", brief, short)
    return (
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{PHASE}" rx="5" '
        f'fill="{phase_colour(trainable)}"/>'
        f'<text x="{left + width / 2:.1f}" y="{top + PHASE / 2:.1f}" fill="{ON_PHASE}" '
        'font-size="12" font-family="system-ui, sans-serif" font-weight="600" '
        f'text-anchor="middle" dominant-baseline="central">{escape(fitting(words, width))}</text>'
    )


def _branch(x: float, above: int, row: int) -> str:
    """From the end of a phase in a row above down to the beginning of one in this row."""
    x = x - 1.5 * GAP
    top, bottom = above * ROW + PHASE / 2, row * ROW + PHASE / 2
    return (
        f'<path d="M{x:.1f} {top:.1f} V{bottom:.1f} H{x + 2.5 * GAP:.1f}" fill="none" '
        f'stroke="{BRANCH}" stroke-width="2"/>'
    )
