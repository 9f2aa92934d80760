"""Plain HTML: the most likely classes of one picture as bars, and a grid of small pictures with the
classes that models predicted.

Bars need no chart library, whose code alone takes a browser longer to load than the rest of the
page; a page with a widget per picture takes a second to draw. Words take the page's own colour.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.charts.style import translucent
from tl_engine.data.decoding import preview, to_png
from tl_engine.text import markup

ROWS = "display:grid;grid-template-columns:minmax(6em,9em) 1fr 4em;gap:6px 12px;align-items:center"
TRACK = "height:20px;border-radius:4px;background:rgba(128,128,128,0.12)"
WIDTH = 96
"""Pixels across a picture on the page, at most; small ones are enlarged by a whole number, their
pixels left as they are: a blurred picture hides what the model saw."""
GRID = f"display:grid;grid-template-columns:repeat(auto-fill,minmax({WIDTH + 8}px,1fr));gap:14px"
CAPTION = "font-size:13px;line-height:1.35;overflow-wrap:anywhere"


class Predicted(NamedTuple):
    """The class that a model, of a colour (hex), predicted, and its probability, 0 to 1."""

    colour: str
    model: str
    label: str
    confidence: float


class Thumbnail(NamedTuple):
    """A picture, uint8 (height, width, 3), its true class, and a last line or none."""

    pixels: np.ndarray
    truth: str
    predicted: tuple[Predicted, ...]
    note: str = ""


def top_bars(predictions: Sequence[tuple[str, float]], truth: str | None, colour: str) -> str:
    """Bars of labels and probabilities (0 to 1), most likely first, in the model's colour (hex);
    where the true class is known, right and wrong are words and signs too."""
    words = ", ".join(f"{markup(label)} {share:.1%}" for label, share in predictions)
    rows = "".join(
        _row(label, share, colour if place == 0 else translucent(colour, 0.45), label == truth)
        for place, (label, share) in enumerate(predictions)
    )
    judgement = ""
    if truth is not None:
        is_right = predictions[0][0] == truth
        word = "✓ right" if is_right else f"✗ wrong: it is {markup(truth, 28)}"
        judgement = f'<p style="margin:0 0 8px;font-weight:600">{word}</p>'
    return f'{judgement}<div role="img" aria-label="{words}" style="{ROWS}">{rows}</div>'


def _row(label: str, share: float, colour: str, is_truth: bool) -> str:
    name = markup(label, 28) + (" ✓" if is_truth else "")
    bar = f"width:{100 * share:.2f}%;height:100%;border-radius:4px;background:{colour}"
    return (
        f'<span style="text-align:right">{name}</span>'
        f'<div style="{TRACK}"><div style="{bar}"></div></div>'
        f"<span>{share:.1%}</span>"
    )


def thumbnails(pictures: Sequence[Thumbnail]) -> str:
    """The pictures in their order, under the names of the models if there are several."""
    models = {one.model: one.colour for picture in pictures for one in picture.predicted}
    words = " &emsp; ".join(f"{_dot(colour)} {markup(name)}" for name, colour in models.items())
    legend = f'<p style="margin:0 0 8px">{words}</p>' if len(models) > 1 else ""
    return f'{legend}<div style="{GRID}">{"".join(map(_figure, pictures))}</div>'


def _figure(picture: Thumbnail) -> str:
    truth = markup(picture.truth)
    lines = "".join(_line(one, picture.truth) for one in picture.predicted)
    note = f'<div style="opacity:0.7">{markup(picture.note)}</div>' if picture.note else ""
    return (
        f'<figure style="margin:0">{_image(picture)}'
        f'<figcaption style="{CAPTION}"><b>{truth}</b>{lines}{note}</figcaption></figure>'
    )


def _image(picture: Thumbnail) -> str:
    pixels, rendering = picture.pixels, "pixelated"
    if max(pixels.shape[:2]) > WIDTH:
        pixels, rendering = preview(pixels, 2 * WIDTH), "auto"
    width = min(pixels.shape[1] * max(WIDTH // max(pixels.shape[:2]), 1), WIDTH)
    words = ", ".join(f"{markup(one.model)} said {markup(one.label)}" for one in picture.predicted)
    source = b64encode(to_png(pixels)).decode()
    return (
        f'<img src="data:image/png;base64,{source}" alt="{markup(picture.truth)}; {words}" '
        f'width="{width}" style="image-rendering:{rendering};display:block;margin-bottom:4px">'
    )


def _line(predicted: Predicted, truth: str) -> str:
    sign, label = "✓" if predicted.label == truth else "✗", markup(predicted.label)
    return (
        f'<div title="{markup(predicted.model)}">{_dot(predicted.colour)} {sign} {label} '
        f"{predicted.confidence:.0%}</div>"
    )


def _dot(colour: str) -> str:
    return f'<span style="color:{colour}" aria-hidden="true">●</span>'
