"""A chart, made once for the same numbers, with what one can keep of it: picture, numbers, page.

Drawing takes ten times as long as sending, and Python draws for one visitor at a time. Pictures are
made by the browser: Plotly's mode bar has one button for them, and Streamlit passes it a format as
plain data, so that which of the two it saves is chosen here.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.report.section import Drawing, Numbers
from tl_engine.text import cell
from ui import browser
from ui.frame import pick

MAXIMUM_FIGURES = 64
"""Kept of each chart."""
SCALE = {"png": 2, "svg": 1}
"""Formats of pictures, with their pixels for each on the screen."""


def cached(drawing: Drawing) -> go.Figure:
    """The drawing's figure; nobody may change it."""
    return _cache_of(drawing.chart)(drawing.arguments, drawing.cost)


@cache
def _cache_of(chart: Callable[..., go.Figure]) -> Callable[..., go.Figure]:
    """A function that draws a chart once for the same arguments."""

    @st.cache_resource(
        max_entries=MAXIMUM_FIGURES, show_spinner=False, hash_funcs={pd.DataFrame: _all_of}
    )
    @wraps(chart)  # Streamlit tells caches apart by a function's name
    def figure(arguments: tuple[Any, ...], cost: str) -> go.Figure:
        return Drawing(chart, arguments, cost).figure()

    return figure


def _all_of(frame: pd.DataFrame) -> bytes:
    """What tells a frame from any other; Streamlit's own looks at a sample of many rows."""
    rows = pd.util.hash_pandas_object(frame).to_numpy().tobytes()
    return hashlib.sha256(repr(list(frame.columns)).encode() + rows).digest()


def chart(figure: go.Figure, numbers: Numbers, key: str, alt: str, **options: Any) -> None:
    """Draw a figure, and under it what saves it, in files that are named after its key.

    Args:
        numbers: that it shows; or what gives them when somebody saves them, so that the page need
            not keep many of them for each of its visitors.
        alt: what it shows, for who cannot see it.
    """
    kind = st.session_state.get(f"{key}-format", "png")
    picture = {"format": kind, "filename": key, "scale": SCALE[kind]}
    config = {"toImageButtonOptions": picture}
    st.plotly_chart(figure, key=key, alt=alt, config=config, **options)
    with st.popover("Save", icon=":material/download:", type="tertiary", key=f"{key}-save"):
        titles = {name: name.upper() for name in SCALE}
        pick("Format of the picture", titles, f"{key}-format", default="png")
        label = f"Picture ({kind.upper()})"
        pressed = st.button(label, icon=":material/photo_camera:", key=f"{key}-picture")
        with st.container(horizontal=True):
            for label, name, data in (
                ("Numbers (CSV)", f"{key}.csv", partial(csv_of, numbers)),
                ("Chart (HTML)", f"{key}.html", partial(page_of, figure)),
            ):
                st.download_button(label, data, name, on_click="ignore", key=f"save-{name}")
    if pressed:  # not within the popover: what is in it is drawn while it is open
        browser.save_picture(key)


def csv_of(numbers: Numbers) -> bytes:
    """A frame as CSV with every digit; text in it computes nothing in a spreadsheet, what is NaN is
    empty."""
    frame = numbers() if callable(numbers) else numbers
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(map(_safe, frame.columns))
    lines.writerows(map(_safe, row) for row in frame.astype(object).to_numpy())
    return file.getvalue().encode()


def page_of(figure: go.Figure) -> bytes:
    """A figure as a page that needs no network, 5 MB of which are Plotly's."""
    return figure.to_html(include_plotlyjs=True, include_mathjax=False).encode()


def _safe(value: object) -> object:
    if isinstance(value, str):
        return cell(value)
    return "" if pd.isna(value) else value  # type: ignore[call-overload]
