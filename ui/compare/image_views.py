"""Images behind confusions, agreement and mistakes: whose, and of which cell of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from functools import partial
from typing import Any

import streamlit as st

from tl_engine.analysis.agreement import CELLS
from tl_engine.charts.heatmap_cells import CLICKABLE, Cell, clickable
from tl_engine.report.arms import Arm
from tl_engine.report.section import Section
from tl_engine.report.sections.agreement_sections import agreement, images_by
from tl_engine.report.sections.mistake_sections import (
    CONFUSED,
    DIFFERENCE,
    FIRST,
    SECOND,
    SUREST,
    choices,
    confusion,
    images_of,
    mistakes,
)
from tl_engine.report.shown_results import Results
from tl_engine.text import counted, escape, plain
from ui import browser, frame
from ui.figures import cached, chart
from ui.section_view import draw, draw_all, draw_words

ALL = 0
"""In the place of a pair's number, which is 1 or more."""
IS_NEW = "new-click-on-a-cell"
"""Key of whether the page has not moved to the cell's images yet."""
PER_PAGE = 24


def show_confusion(results: Results) -> None:
    """Confusion matrices of one arm or two and their difference; a cell that is clicked, or
    chosen by its classes, shows its images."""
    if not choices(results):
        return draw_all(confusion(results))
    left, right = st.columns(2)
    with left:
        first = _choose_arm("Arm", choices(results), FIRST)
    with right:
        second = _choose_arm("Against", choices(results, first), SECOND)
    shown = [arm for arm in (first, second) if arm is not None]
    data = shown[0].recipe.described_dataset
    key = f"cell-{data.name}"  # each dataset has classes of its own, and so choices of its own
    halves = st.grid(2, min_column_width=480)
    for number, section in enumerate(confusion(results, arms=shown)):
        place = section.key.removeprefix(f"{key}-")
        is_chosen = st.session_state.get(f"{key}-of", place) == place
        with halves.cell() if number < len(shown) else nullcontext():
            _show_cells(section, _cell(key) if is_chosen else None, partial(_take, key, place))
    whose = _choose_cell(shown, data.class_names, key)
    if (cell := _cell(key)) is not None:
        _show_images("confusion", images_of(shown, whose, cell))


def show_agreement(results: Results) -> None:
    """Who is right on which images; a cell that is clicked or chosen shows its images."""
    if not results.common_pairs:
        return draw_all(agreement(results))
    pairs, key = _choose_pairs(results.common_pairs, "agreement-pair"), "agreement-of"
    *notes, matrix, numbers = agreement(results, pairs=pairs)
    draw_all(notes)
    halves = st.grid(2, min_column_width=380)
    who_by_cell = {cell: who for who, cell in CELLS.items()}
    with halves.cell():
        chosen = CELLS.get(st.session_state.get(key) or "")
        _show_cells(matrix, chosen, lambda cell: st.session_state.update({key: who_by_cell[cell]}))
    with halves.cell():
        draw(numbers)
    first, second = results.two_arms
    titles = {
        "both": "Both right",
        "first": f"Only {plain(first.title, 60)} right",
        "second": f"Only {plain(second.title, 60)} right",
        "neither": "Both wrong",
    }
    text = "Click a cell, or choose one here"
    who = frame.choose(st.selectbox, "Images", titles, key, index=None, placeholder=text)
    if who is not None:
        _show_images("agreement", images_by(results, pairs, who))


def show_mistakes(results: Results) -> None:
    """One arm's mistakes as images."""
    arms = [arm for arm in results.contrast_first if arm.finished]
    if not arms:
        return draw_all(mistakes(results))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        arm = _choose_arm("Arm", arms, "mistakes-arm", width=320) or arms[0]
        pairs = _choose_pairs(list(arm.finished), "mistakes-pair")
        kind = st.segmented_control(
            "Show", [SUREST, CONFUSED], default=SUREST, required=True, key="mistakes-kind"
        )
    for section in mistakes(results, arm=arm, pairs=pairs, kind=kind):
        _show_pictures(section, turn=kind == SUREST)


def _choose_arm(label: str, arms: Sequence[Arm], key: str, **options: Any) -> Arm | None:
    by_key = {arm.key: arm for arm in arms}
    if st.session_state.get(key) not in by_key:  # of runs that were chosen before
        st.session_state.pop(key, None)
    titles = {arm.key: plain(arm.title) for arm in arms}
    chosen = frame.choose(st.selectbox, label, titles, key, disabled=not arms, **options)
    return by_key.get(chosen)


def _choose_pairs(pairs: Sequence[int], key: str) -> list[int]:
    """Ask for one pair or all; the numbers that are chosen."""
    if len(pairs) == 1:
        return list(pairs)
    titles = {ALL: f"All {len(pairs)} pairs"} | {pair: f"Pair {pair}" for pair in pairs}
    chosen = frame.choose(st.selectbox, "Pair", titles, key, width=180)
    return list(pairs) if chosen == ALL else [chosen]


def _choose_cell(shown: Sequence[Arm], names: Sequence[str], key: str) -> str:
    """Ask for a cell where none is clicked; whose it is."""
    way = "Choose" if len(names) > CLICKABLE else "Click a cell, or choose"
    with st.container(horizontal=True, vertical_alignment="bottom"):
        classes = {place: plain(name) for place, name in enumerate(names)}
        options = {"index": None, "placeholder": f"{way} a class", "width": 260}
        frame.choose(st.selectbox, "True class", classes, f"{key}-true", **options)
        frame.choose(st.selectbox, "Predicted class", classes, f"{key}-said", **options)
        if len(shown) == 1:
            return FIRST
        places = zip((FIRST, SECOND), shown, strict=True)
        titles = {place: escape(arm.title, 60) for place, arm in places}
        titles[DIFFERENCE] = "Said by one of them only"
        st.session_state.setdefault(f"{key}-of", DIFFERENCE)  # a default would forbid clicks
        return frame.pick("Images", titles, f"{key}-of")


def _cell(key: str) -> Cell | None:
    true, predicted = (st.session_state.get(f"{key}-{name}") for name in ("true", "said"))
    return None if true is None or predicted is None else (true, predicted)


def _take(key: str, place: str, cell: Cell) -> None:
    st.session_state[f"{key}-true"], st.session_state[f"{key}-said"] = cell
    st.session_state[f"{key}-of"] = place


def _show_cells(section: Section, chosen: Cell | None, take: Callable[[Cell], object]) -> None:
    """Draw a heat map with a frame round the chosen cell; `take` is called with a cell that is
    clicked, before the page is drawn again."""
    if section.drawing is None or section.numbers is None:
        return draw(section)

    def clicked() -> None:
        # A second click on the chosen cell takes the selection back, which leaves no point.
        for point in st.session_state[section.key].selection.points:
            take((round(point["y"]), round(point["x"])))
            st.session_state[IS_NEW] = True

    figure, key = clickable(cached(section.drawing), chosen), section.key
    chart(figure, section.numbers, key, section.alt, on_select=clicked, selection_mode="points")
    if chosen is not None:
        st.caption(":material/south: The images of the framed cell are shown below.")


def _show_images(key: str, sections: Iterable[Section]) -> None:
    """Draw the images of a cell of the part of that key; after a click the page moves there."""
    st.container(key=f"images-{key}").caption("The images of the cell:")
    if st.session_state.pop(IS_NEW, False):
        browser.bring_into_view(f"images-{key}")
    for section in sections:
        _show_pictures(section)


def _show_pictures(section: Section, turn: bool = True) -> None:
    """Draw a section with its images, a page of them at a time, with their number; or all."""
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
        st.caption(f"{counted(images, 'image')}{of}")
        return 0
    words = st.empty()
    # With another number of images it is another choice, which begins with the first page.
    page = st.pagination(pages, key=f"{key}-page-{images}") - 1
    shown = min(PER_PAGE, images - page * PER_PAGE)
    words.caption(f"{shown} of {images:,} images{of}, {images - shown:,} more")
    return page
