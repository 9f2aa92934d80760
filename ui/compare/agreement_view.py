"""Agreement of two arms: who is right on which images, with their pictures."""

from __future__ import annotations

from math import isnan

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.agreement import (
    CELLS,
    agreement_counts,
    cohens_kappa,
    disagreement,
    in_agreement,
    mcnemar_p,
    seed_disagreement,
)
from tl_engine.analysis.misclassified import by_confidence
from tl_engine.charts.heatmap_cells import Cell
from ui import frame
from ui.arms import ShownArm, budget_of, show_table
from ui.compare.clickable_chart import images_here, show_cells
from ui.compare.dataset_pictures import show_pictures
from ui.compare.saved_predictions import (
    choose_pairs,
    counted_per_seed,
    finished_pairs,
    pairs_words,
    pooled,
    predictions_of,
)
from ui.figures import agreement_matrix
from ui.words import percent, plain

CHECKPOINTS = "these two checkpoints, not these two recipes"


@st.fragment
@frame.guarded()
def show_agreement(first: ShownArm, second: ShownArm) -> None:
    """On which images two arms are right together, alone or not at all."""
    st.subheader("Where they agree", anchor=False)
    ours, theirs = finished_pairs(first), finished_pairs(second)
    pairs = [pair for pair in ours if pair in theirs]
    if not pairs:
        st.caption("Agreement appears when a pair has finished in both arms.")
        return
    chosen = choose_pairs(pairs, "agreement-pair")
    said = pooled(ours, chosen), pooled(theirs, chosen)
    counts = agreement_counts(*said)
    counted_per_seed(len(chosen))
    halves = st.grid(2, min_column_width=380)
    with halves.cell():
        look = (first.title, second.title, pairs_words(chosen))
        made = agreement_matrix(counts, *look, budget=budget_of([first, second]))
        images = [int(counts[at]) for at in CELLS.values()]
        in_cells = pd.DataFrame({"right": list(CELLS), "images": images})
        chosen_cell = CELLS.get(st.session_state.get("agreement-of") or "")
        alt = "How many images both arms get right, one of them, or none"
        show_cells(made, in_cells, chosen_cell, "agreement", _take_click, alt)
    with halves.cell():
        alike = f"The two arms say different classes ({pairs_words(chosen)})"
        numbers = {alike: percent(disagreement(*said)), **_reference(first), **_reference(second)}
        _show_numbers({**numbers, **_of_counts(counts, is_one_pair=len(chosen) == 1)})
    who = _choose_cell(first, second)
    if who is not None:
        images_here("agreement")
        surest_of = said[1] if who == "second" else said[0]
        positions = by_confidence(surest_of, in_agreement(*said, who))
        show_pictures((first, second), said, positions, f"agreement-{who}")


def _show_numbers(numbers: dict[str, str]) -> None:
    show_table(pd.DataFrame({"": numbers}).rename_axis("How alike they are"))
    st.caption(
        "The measure of a difference is another seed, which has other training images, another "
        "head and another order: arms that disagree no more than seeds do are not told apart "
        "here. Kappa is 1 where both are right on the same images, 0 where they are so as often "
        "as by chance."
    )


def _of_counts(counts: np.ndarray, *, is_one_pair: bool) -> dict[str, str]:
    """What the counts of who is right come to, in words."""
    kappa = cohens_kappa(counts)
    words = {"Cohen's kappa of right and wrong": "–" if isnan(kappa) else f"{kappa:.2f}"}
    if is_one_pair:
        words["McNemar, exact p"] = f"{mcnemar_p(counts):.2g}: {CHECKPOINTS}"
    return words


def _reference(arm: ShownArm) -> dict[str, str]:
    """How often two seeds of an arm say different classes, in words."""
    known = seed_disagreement([predictions_of(run) for run in finished_pairs(arm).values()])
    name = f"Two seeds of {plain(arm.title, 40)} do"
    if not known.couples:
        return {name: "– no two with common images"}
    couples = "1 couple" if known.couples == 1 else f"{known.couples:,} couples"
    return {f"{name} ({couples})": percent(known.share)}


def _choose_cell(first: ShownArm, second: ShownArm) -> str | None:
    """The cell whose images are asked for, by a click or here."""
    titles = {
        "both": "Both right",
        "first": f"Only {plain(first.title, 60)} right",
        "second": f"Only {plain(second.title, 60)} right",
        "neither": "Both wrong",
    }
    return st.selectbox(
        "Images",
        list(CELLS),
        index=None,
        format_func=titles.__getitem__,
        placeholder="Click a cell, or choose one here",
        key="agreement-of",
    )


def _take_click(cell: Cell) -> None:
    st.session_state["agreement-of"] = next(who for who, at in CELLS.items() if at == cell)
