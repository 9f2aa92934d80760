"""Confusions of one arm or two: which arms, and the cell whose images are shown."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import streamlit as st

from tl_engine.charts.heatmap_cells import CLICKABLE, Cell
from tl_engine.report.arms import Arm
from tl_engine.report.section import Section
from tl_engine.report.sections.mistake_sections import (
    DIFFERENCE,
    FIRST,
    SECOND,
    choices,
    confusion,
    images_of,
)
from tl_engine.report.shown_results import Results
from ui.compare.clickable_chart import show_cells, show_images
from ui.section_view import draw, draw_all
from ui.words import escape, plain


def show_confusion(results: Results) -> None:
    """Confusion matrices of one arm or two and their difference; a cell that is clicked, or
    chosen by its classes, shows its images."""
    if not choices(results):
        return draw_all(confusion(results))
    shown = _choose_arms(results)
    data = shown[0].recipe.described_dataset
    # Each dataset has classes of its own, and so choices of its own.
    key, sections = f"cell-{data.name}", confusion(results, arms=shown)
    halves = st.grid(2, min_column_width=480)
    for section in sections[: len(shown)]:
        with halves.cell():
            _draw(section, key)
    for section in sections[len(shown) :]:
        _draw(section, key)
    whose, cell = _choose_cell(shown, data.class_names, key)
    if cell is not None:
        show_images("confusion", images_of(shown, whose, cell))


def _draw(section: Section, key: str) -> None:
    """A matrix whose clicks choose a cell, with a frame round it if it is of this matrix."""
    if section.drawing is None:
        return draw(section)
    place = section.key.removeprefix(f"{key}-")
    is_asked = st.session_state.get(f"{key}-of", place) == place
    show_cells(section, _cell(key) if is_asked else None, partial(_take_click, key, place))


def _choose_arms(results: Results) -> list[Arm]:
    """An arm, and one of the same dataset to hold against it where there is one."""
    left, right = st.columns(2)
    with left:
        first = _choose_arm("Arm", choices(results), FIRST)
    with right:
        second = _choose_arm("Against", choices(results, first), SECOND)
    return [arm for arm in (first, second) if arm is not None]


def _choose_arm(label: str, arms: Sequence[Arm], key: str) -> Arm | None:
    by_key = {arm.key: arm for arm in arms}
    if st.session_state.get(key) not in by_key:  # of runs that were chosen before
        st.session_state.pop(key, None)
    chosen = st.selectbox(
        label,
        list(by_key),
        format_func=lambda key: plain(by_key[key].title),
        key=key,
        disabled=not arms,
    )
    return by_key.get(chosen)


def _take_click(key: str, place: str, cell: Cell) -> None:
    st.session_state[f"{key}-true"], st.session_state[f"{key}-said"] = cell
    st.session_state[f"{key}-of"] = place


def _cell(key: str) -> Cell | None:
    true, predicted = (st.session_state.get(f"{key}-{name}") for name in ("true", "said"))
    return None if true is None or predicted is None else (true, predicted)


def _choose_cell(shown: Sequence[Arm], names: Sequence[str], key: str) -> tuple[str, Cell | None]:
    """Whose cell is chosen, and which, by a click or here."""
    way = "Choose" if len(names) > CLICKABLE else "Click a cell, or choose"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, label in (("true", "True class"), ("said", "Predicted class")):
            st.selectbox(
                label,
                range(len(names)),
                index=None,
                format_func=lambda place: plain(names[place]),
                placeholder=f"{way} a class",
                key=f"{key}-{name}",
                width=260,
            )
        whose: str | None = FIRST
        if len(shown) == 2:
            places = zip((FIRST, SECOND), shown, strict=True)
            titles = {place: escape(arm.title, 60) for place, arm in places}
            titles[DIFFERENCE] = "Said by one of them only"
            st.session_state.setdefault(f"{key}-of", DIFFERENCE)  # a default would forbid clicks
            whose = st.segmented_control(
                "Images",
                list(titles),
                format_func=titles.__getitem__,
                required=True,
                key=f"{key}-of",
            )
    return whose or DIFFERENCE, _cell(key)
