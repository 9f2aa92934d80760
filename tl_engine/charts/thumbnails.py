"""A grid of small pictures with the classes that models predicted.

One piece of HTML, because a page with a widget per picture takes a second to draw, with pixels
left as they are: a blurred picture hides what the model saw.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.data.decoding import preview, to_png
from tl_engine.text import markup

WIDTH = 96
"""Pixels across a picture on the page, at most; small ones are enlarged by a whole number."""
GRID = f"display:grid;grid-template-columns:repeat(auto-fill,minmax({WIDTH + 8}px,1fr));gap:14px"
CAPTION = "font-size:13px;line-height:1.35;overflow-wrap:anywhere"


class Predicted(NamedTuple):
    """What one model predicted for a picture.

    Attributes:
        colour: of the model, hex.
        label: the class.
        confidence: its probability, 0 to 1.
    """

    colour: str
    model: str
    label: str
    confidence: float


class Thumbnail(NamedTuple):
    """A picture.

    Attributes:
        pixels: uint8 (height, width, 3).
        truth: its true class.
        note: a last line; empty for none.
    """

    pixels: np.ndarray
    truth: str
    predicted: tuple[Predicted, ...]
    note: str = ""


def thumbnails(pictures: Sequence[Thumbnail]) -> str:
    """HTML of the pictures in their order, under the names of the models if there are several."""
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
