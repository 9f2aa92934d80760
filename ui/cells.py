"""Matrices whose cells can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.charts.cells import Cell, clickable
from ui.export import chart


def show_cells(
    made: go.Figure,
    numbers: pd.DataFrame,
    chosen: Cell | None,
    key: str,
    take: Callable[[Cell], None],
    alt: str,
) -> None:
    """Draw a heat map with a frame round the chosen cell.

    Args:
        numbers: what the cells hold.
        take: called with the cell that was clicked, before the page is drawn again.
    """
    clicked = partial(_take, key, take)
    figure = clickable(made, chosen)
    chart(figure, numbers, key, alt, on_select=clicked, selection_mode="points")


def _take(key: str, take: Callable[[Cell], None]) -> None:
    # A second click on the chosen cell takes the selection back, which leaves no point.
    for point in st.session_state[key].selection.points:
        take((round(point["y"]), round(point["x"])))
