"""Images behind the agreement of two arms, and behind the mistakes of one."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from tl_engine.analysis.agreement import CELLS
from tl_engine.charts.heatmap_cells import Cell
from tl_engine.report.sections.agreement_sections import agreement, images_by
from tl_engine.report.sections.mistake_sections import CONFUSED, SUREST, mistakes
from tl_engine.report.shown_results import Results
from ui.compare.clickable_chart import show_cells, show_images, show_pictures
from ui.section_view import draw, draw_all
from ui.words import plain

ALL = 0
"""In the place of a pair's number, which is 1 or more."""


def show_mistakes(results: Results) -> None:
    """One arm's mistakes as images."""
    arms = {arm.key: arm for arm in results.contrast_first if arm.finished}
    if not arms:
        return draw_all(mistakes(results))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = st.selectbox(
            "Arm",
            list(arms),
            format_func=lambda key: plain(arms[key].title),
            key="mistakes-arm",
            width=320,
        )
        pairs = _choose_pairs(list(arms[key].finished), "mistakes-pair")
        kind = st.segmented_control(
            "Show", [SUREST, CONFUSED], default=SUREST, required=True, key="mistakes-kind"
        )
    for section in mistakes(results, arm=arms[key], pairs=pairs, kind=kind):
        show_pictures(section, turn=kind == SUREST)


def show_agreement(results: Results) -> None:
    """Who is right on which images; a cell that is clicked or chosen shows its images."""
    if not results.common_pairs:
        return draw_all(agreement(results))
    pairs = _choose_pairs(results.common_pairs, "agreement-pair")
    *notes, matrix, numbers = agreement(results, pairs=pairs)
    draw_all(notes)
    halves = st.grid(2, min_column_width=380)
    with halves.cell():
        chosen = CELLS.get(st.session_state.get("agreement-of") or "")
        show_cells(matrix, chosen, _take_click)
    with halves.cell():
        draw(numbers)
    first, second = results.two_arms
    titles = {
        "both": "Both right",
        "first": f"Only {plain(first.title, 60)} right",
        "second": f"Only {plain(second.title, 60)} right",
        "neither": "Both wrong",
    }
    who = st.selectbox(
        "Images",
        list(CELLS),
        index=None,
        format_func=titles.__getitem__,
        placeholder="Click a cell, or choose one here",
        key="agreement-of",
    )
    if who is not None:
        show_images("agreement", images_by(results, pairs, who))


def _choose_pairs(pairs: Sequence[int], key: str) -> list[int]:
    """Ask for one pair or all; the numbers that are chosen."""
    if len(pairs) == 1:
        return list(pairs)
    chosen = st.selectbox(
        "Pair",
        [ALL, *pairs],
        format_func=lambda pair: f"All {len(pairs)} pairs" if pair == ALL else f"Pair {pair}",
        key=key,
        width=180,
    )
    return list(pairs) if chosen == ALL else [chosen]


def _take_click(cell: Cell) -> None:
    st.session_state["agreement-of"] = next(who for who, at in CELLS.items() if at == cell)
