"""A small picture of a verdict: the interval of a difference, no difference, and what matters."""

from __future__ import annotations

from html import escape

from tl_engine.charts.colours import NEUTRAL

WIDTH, HEIGHT, EDGE = 240, 34, 10
"""Of the picture, and the free space at its sides, in pixels."""


def interval_svg(
    difference: float, low: float, high: float, smallest: float, colour: str, words: str
) -> str:
    """The interval as a thick line with its mean, beside a line at no difference and the band of
    differences that do not matter.

    Args:
        difference, low, high, smallest: finite, in the same unit.
        colour: of the interval, hex.
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
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
        f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(words, quote=True)}">'
        f"{''.join(parts)}</svg>"
    )
