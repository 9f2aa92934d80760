"""Matrices whose cells can be clicked, and the images of a cell."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

import streamlit as st

from tl_engine.charts.heatmap_cells import Cell, clickable
from tl_engine.report.section import Section
from ui import browser
from ui.export import chart
from ui.figures import cached
from ui.section_view import draw_words

IS_NEW = "new-click-on-a-cell"
"""Key of whether the page has not moved to the cell's images yet."""
PER_PAGE = 24


def show_cells(section: Section, chosen: Cell | None, take: Callable[[Cell], None]) -> None:
    """Draw a heat map with a frame round the chosen cell.

    Args:
        take: called with the cell that was clicked, before the page is drawn again.
    """
    if section.drawing is None or section.numbers is None:
        raise ValueError(f"Section {section.key} has no figure to click.")
    figure, key = clickable(cached(section.drawing), chosen), section.key
    clicked = partial(_take, key, take)
    chart(figure, section.numbers, key, section.alt, on_select=clicked, selection_mode="points")
    if chosen is not None:
        st.caption(":material/south: The images of the framed cell are shown below.")


def show_images(key: str, sections: Iterable[Section]) -> None:
    """Draw the images of a cell; after a click the page moves there.

    Args:
        key: of the part of the page that they belong to.
    """
    st.container(key=f"images-{key}").caption("The images of the cell:")
    if st.session_state.pop(IS_NEW, False):
        browser.bring_into_view(f"images-{key}")
    for section in sections:
        show_pictures(section)


def show_pictures(section: Section, turn: bool = True) -> None:
    """Draw a section with its images.

    Args:
        turn: a page of them at a time, with their number; else all.
    """
    draw_words(section)
    pictures = section.pictures
    if pictures is None:
        return
    images = len(pictures.rows)
    if not turn:
        st.html(pictures.html())
    elif not images:
        st.caption("No image.")
    else:
        begin = PER_PAGE * _page(images, pictures.counted, section.key)
        st.html(pictures.html(begin, begin + PER_PAGE))


def _page(images: int, predictions: int, key: str) -> int:
    """Say how many there are, and ask for a page where they are more than one holds, from 0."""
    of = f" ({predictions:,} predictions)" if predictions > images else ""
    pages = -(-images // PER_PAGE)
    if pages == 1:
        st.caption(("1 image" if images == 1 else f"{images:,} images") + of)
        return 0
    words = st.empty()
    # With another number of images it is another choice, which begins with the first page.
    page = st.pagination(pages, key=f"{key}-page-{images}") - 1
    shown = min(PER_PAGE, images - page * PER_PAGE)
    words.caption(f"{shown} of {images:,} images{of}, {images - shown:,} more")
    return page


def _take(key: str, take: Callable[[Cell], None]) -> None:
    # A second click on the chosen cell takes the selection back, which leaves no point.
    for point in st.session_state[key].selection.points:
        take((round(point["y"]), round(point["x"])))
        st.session_state[IS_NEW] = True
