"""Matrices whose cells can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.charts.heatmap_cells import Cell, clickable
from ui import browser
from ui.export import chart

IS_NEW = "new-click-on-a-cell"
"""Key of whether the page has not moved to the cell's images yet."""


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
    if chosen is not None:
        st.caption(":material/south: The images of the framed cell are shown below.")


def images_here(key: str) -> None:
    """Where the images of a cell are drawn: after a click the page moves there.

    Args:
        key: of the part of the page that they belong to.
    """
    st.container(key=f"images-{key}").caption("The images of the cell:")
    if st.session_state.pop(IS_NEW, False):
        browser.bring_into_view(f"images-{key}")


def _take(key: str, take: Callable[[Cell], None]) -> None:
    # A second click on the chosen cell takes the selection back, which leaves no point.
    for point in st.session_state[key].selection.points:
        take((round(point["y"]), round(point["x"])))
        st.session_state[IS_NEW] = True
