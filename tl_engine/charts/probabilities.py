"""The most likely classes of one picture, as bars.

Plain HTML: five bars need no chart library, whose code alone takes a browser longer to load than
the rest of the page, and its words take the page's own colour in both themes.
"""

from __future__ import annotations

from collections.abc import Sequence

from tl_engine.charts.colours import translucent
from tl_engine.text import markup

ROWS = "display:grid;grid-template-columns:minmax(6em,9em) 1fr 4em;gap:6px 12px;align-items:center"
TRACK = "height:20px;border-radius:4px;background:rgba(128,128,128,0.12)"


def top_bars(predictions: Sequence[tuple[str, float]], truth: str | None, colour: str) -> str:
    """HTML of bars with numbers, most likely first; right and wrong are words and signs too.

    Args:
        predictions: label and probability (0 to 1), most likely first.
        truth: the true class, where it is known.
        colour: the model's, as hex.
    """
    words = ", ".join(f"{markup(label)} {share:.1%}" for label, share in predictions)
    rows = "".join(
        _row(label, share, colour if place == 0 else translucent(colour, 0.45), label == truth)
        for place, (label, share) in enumerate(predictions)
    )
    return (
        f"{_judgement(predictions[0][0], truth)}"
        f'<div role="img" aria-label="{words}" style="{ROWS}">{rows}</div>'
    )


def _judgement(label: str, truth: str | None) -> str:
    if truth is None:
        return ""
    word = "✓ right" if label == truth else f"✗ wrong: it is {markup(truth, 28)}"
    return f'<p style="margin:0 0 8px;font-weight:600">{word}</p>'


def _row(label: str, share: float, colour: str, is_truth: bool) -> str:
    name = markup(label, 28) + (" ✓" if is_truth else "")
    bar = f"width:{100 * share:.2f}%;height:100%;border-radius:4px;background:{colour}"
    return (
        f'<span style="text-align:right">{name}</span>'
        f'<div style="{TRACK}"><div style="{bar}"></div></div>'
        f"<span>{share:.1%}</span>"
    )
