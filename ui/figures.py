"""Figures made once for the same numbers and shared by visitors.

Drawing takes ten times as long as sending, and Python draws for one visitor at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.report.section import Drawing

MAXIMUM_FIGURES = 64
"""Of each chart."""


def cached(drawing: Drawing) -> go.Figure:
    """The drawing's figure; nobody may change it."""
    return _cache_of(drawing.chart)(drawing.arguments, drawing.cost)


@cache
def _cache_of(chart: Callable[..., go.Figure]) -> Callable[..., go.Figure]:
    """A function that draws a chart once for the same arguments."""

    @wraps(chart)  # Streamlit tells caches apart by a function's name
    def figure(arguments: tuple[Any, ...], cost: str) -> go.Figure:
        return Drawing(chart, arguments, cost).figure()

    once = st.cache_resource(
        max_entries=MAXIMUM_FIGURES, show_spinner=False, hash_funcs={pd.DataFrame: _all_of}
    )
    return once(figure)


def _all_of(frame: pd.DataFrame) -> bytes:
    """What tells a frame from any other; Streamlit's own looks at a sample of many rows."""
    rows = pd.util.hash_pandas_object(frame).to_numpy().tobytes()
    return hashlib.sha256(repr(list(frame.columns)).encode() + rows).digest()
