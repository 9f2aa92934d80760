"""A chart with what one can keep of it: a picture, its numbers, the chart itself.

Pictures are made by the browser. Plotly's mode bar has one button for them, and Streamlit passes it
a format as plain data, so that which of the two it saves is chosen here.
"""

from __future__ import annotations

import csv
import io
from functools import partial
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.report.section import Numbers
from ui import browser
from ui.words import cell

FORMATS = {"png": "PNG", "svg": "SVG"}
SCALE = 2
"""Pixels of a PNG for each on the screen."""


def chart(figure: go.Figure, numbers: Numbers, key: str, alt: str, **options: Any) -> None:
    """Draw a figure, and under it what saves it.

    Args:
        numbers: that it shows; or what gives them when somebody saves them, so that the page need
            not keep many of them for each of its visitors.
        key: of the chart on its page; files are named after it.
        alt: what it shows, for who cannot see it.
        options: of `st.plotly_chart`.
    """
    kind = st.session_state.get(f"{key}-format", "png")
    picture = {"format": kind, "filename": key, "scale": SCALE if kind == "png" else 1}
    config = {"toImageButtonOptions": picture}
    st.plotly_chart(figure, key=key, alt=alt, config=config, **options)
    with st.popover("Save", icon=":material/download:", type="tertiary", key=f"{key}-save"):
        st.segmented_control(
            "Format of the picture",
            list(FORMATS),
            format_func=lambda kind: FORMATS[kind],
            default="png",
            required=True,
            key=f"{key}-format",
        )
        label = f"Picture ({FORMATS[kind]})"
        pressed = st.button(label, icon=":material/photo_camera:", key=f"{key}-picture")
        with st.container(horizontal=True):
            _button("Numbers (CSV)", partial(_csv_of, numbers), f"{key}.csv")
            _button("Chart (HTML)", partial(page_of, figure), f"{key}.html")
    if pressed:  # not within the popover: what is in it is drawn while it is open
        browser.save_picture(key)


def csv_of(frame: pd.DataFrame) -> bytes:
    """A frame as CSV with every digit; text in it computes nothing in a spreadsheet, what is NaN is
    empty."""
    file = io.StringIO()
    lines = csv.writer(file)
    lines.writerow(map(_safe, frame.columns))
    lines.writerows(map(_safe, row) for row in frame.astype(object).to_numpy())
    return file.getvalue().encode()


def _csv_of(numbers: Numbers) -> bytes:
    return csv_of(numbers() if callable(numbers) else numbers)


def page_of(figure: go.Figure) -> bytes:
    """A figure as a page that needs no network, 5 MB of which are Plotly's."""
    return figure.to_html(include_plotlyjs=True, include_mathjax=False).encode()


def _safe(value: object) -> object:
    if isinstance(value, str):
        return cell(value)
    return "" if pd.isna(value) else value  # type: ignore[call-overload]


def _button(label: str, data: partial[bytes], name: str) -> None:
    st.download_button(label, data=data, file_name=name, on_click="ignore", key=f"save-{name}")
