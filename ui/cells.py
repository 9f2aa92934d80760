"""Matrices whose cells can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import plotly.graph_objects as go
import streamlit as st

from tl_engine.charts.cells import Cell, clickable


def show_cells(
    made: go.Figure, chosen: Cell | None, key: str, take: Callable[[Cell], None], alt: str
) -> None:
    """Draw a heat map with a frame round the chosen cell.

    Args:
        take: called with the cell that was clicked, before the page is drawn again.
    """
    st.plotly_chart(
        clickable(made, chosen),
        key=key,
        on_select=partial(_take, key, take),
        selection_mode="points",
        alt=alt,
    )


def _take(key: str, take: Callable[[Cell], None]) -> None:
    # A second click on the chosen cell takes the selection back, which leaves no point.
    for point in st.session_state[key].selection.points:
        take((round(point["y"]), round(point["x"])))
