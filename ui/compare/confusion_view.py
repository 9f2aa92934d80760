"""Confusions of one arm or two, and the images of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import product

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.analysis.misclassified import in_cell, only_in_first
from tl_engine.analysis.predictions import check_same_images
from tl_engine.charts.colours import ARMS
from tl_engine.charts.heatmap_cells import CLICKABLE, Cell
from ui import frame
from ui.arms import ShownArm, budget_of, confusions
from ui.compare.clickable_chart import images_here, show_cells
from ui.compare.dataset_pictures import show_pictures
from ui.compare.saved_predictions import counted_per_seed, finished_pairs, pairs_words, pooled
from ui.figures import confusion_difference, confusion_matrix
from ui.words import escape, plain

DIFFERENCE = "difference"
PLACES = ("first", "second")


@st.fragment
@frame.guarded()
def show_confusion(arms: Sequence[ShownArm]) -> None:
    """Confusion matrices of one arm or two and their difference; a cell that is clicked, or
    chosen by its classes, shows its images."""
    st.subheader("What is mistaken for what", anchor=False)
    known = [(arm.key, confusions(arm.runs)) for arm in arms]
    counts = {key: of_arm for key, of_arm in known if of_arm is not None}
    done = [arm for arm in arms if arm.key in counts]
    if not done:
        st.caption("Confusions appear when a run has finished.")
        return
    shown = _choose_arms(done)
    data = shown[0].runs[0].recipe.described_dataset
    # Each dataset has classes of its own, and so choices of its own.
    key, names = f"cell-{data.name}", data.class_names
    _show_matrices(shown, [counts[arm.key] for arm in shown], list(names), key)
    whose, cell = _choose_cell(shown, names, key)
    if cell is None:
        return
    images_here("confusion")
    if whose == DIFFERENCE:
        _show_difference(shown, names, cell)
    else:
        _show_cell(shown, PLACES.index(whose), names, cell)


def _show_matrices(
    shown: Sequence[ShownArm], counts: Sequence[np.ndarray], names: list[str], key: str
) -> None:
    """A matrix per arm, and the difference of two."""
    halves = st.grid(2, min_column_width=480)
    for place, arm, of_arm in zip(PLACES, shown, counts, strict=False):
        with halves.cell():
            made = confusion_matrix(
                of_arm, names, arm.title, len(finished_pairs(arm)), budget=budget_of([arm])
            )
            numbers = _table(names, {"images": of_arm})
            _draw(made, numbers, key, place, f"Confusion matrix of {plain(arm.title)}")
    counted_per_seed(max(len(finished_pairs(arm)) for arm in shown))
    if len(shown) == 2:
        titles = (shown[0].title, shown[1].title)
        colours = _colours(*shown)
        look, budget = (names, *titles, colours), budget_of(shown)
        made = confusion_difference(counts[0], counts[1], *look, budget=budget)
        numbers = _table(names, dict(zip(PLACES, counts, strict=False)))
        _draw(made, numbers, key, DIFFERENCE, "Difference of the two confusion matrices")


def _table(names: list[str], counts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row per cell: true and predicted class, and the counts (classes, classes)."""
    cells = list(product(names, names))
    columns = {name: of_arm.ravel() for name, of_arm in counts.items()}
    return pd.DataFrame({"true": [t for t, _ in cells], "said": [s for _, s in cells], **columns})


def _choose_arms(done: Sequence[ShownArm]) -> list[ShownArm]:
    """An arm, and one of the same dataset to hold against it where there is one."""
    by_key = {arm.key: arm for arm in done}
    if st.session_state.get("first") not in by_key:  # of runs that were chosen before
        st.session_state.pop("first", None)
    left, right = st.columns(2)
    with left:
        first = st.selectbox(
            "Arm", list(by_key), format_func=lambda key: plain(by_key[key].title), key="first"
        )
    data = by_key[first].runs[0].recipe.dataset
    others = [arm for arm in done if arm.runs[0].recipe.dataset == data and arm.key != first]
    if st.session_state.get("second") not in [arm.key for arm in others]:
        st.session_state.pop("second", None)
    with right:
        second = st.selectbox(
            "Against",
            [arm.key for arm in others],
            format_func=lambda key: plain(by_key[key].title),
            key="second",
            disabled=not others,
        )
    return [by_key[key] for key in (first, second) if key is not None]


def _colours(first: ShownArm, second: ShownArm) -> tuple[str, str]:
    """Two ends of a scale; with more arms than colours two of them share one."""
    same = first.colour == second.colour
    return (ARMS[0], ARMS[1]) if same else (first.colour, second.colour)


def _draw(made: go.Figure, numbers: pd.DataFrame, key: str, place: str, alt: str) -> None:
    """A matrix whose clicks choose a cell, with a frame round it if it is of this matrix."""
    is_asked = st.session_state.get(f"{key}-of", place) == place
    take = partial(_take_click, key, place)
    chosen = _cell(key) if is_asked else None
    show_cells(made, numbers, chosen, f"{key}-{place}", take, alt)


def _take_click(key: str, place: str, cell: Cell) -> None:
    st.session_state[f"{key}-true"], st.session_state[f"{key}-said"] = cell
    st.session_state[f"{key}-of"] = place


def _cell(key: str) -> Cell | None:
    true, said = (st.session_state.get(f"{key}-{name}") for name in ("true", "said"))
    return None if true is None or said is None else (true, said)


def _choose_cell(
    shown: Sequence[ShownArm], names: Sequence[str], key: str
) -> tuple[str, Cell | None]:
    """Whose cell is asked for, and which, by a click or here."""
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
        whose: str | None = PLACES[0]
        if len(shown) == 2:
            titles = {p: escape(arm.title, 60) for p, arm in zip(PLACES, shown, strict=True)}
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


def _show_cell(shown: Sequence[ShownArm], place: int, names: Sequence[str], cell: Cell) -> None:
    """The images of one arm's cell, and what the other said of them if it has the same runs."""
    arm, *other = [*shown[place:], *shown[:place]]
    runs = finished_pairs(arm)
    arms = [arm, *(one for one in other if runs.keys() <= finished_pairs(one).keys())]
    said = [pooled(finished_pairs(one), list(runs)) for one in arms]
    for of_other in said[1:]:
        check_same_images(said[0], of_other)
    st.markdown(f"**{_happened(names, cell)}** by {escape(arm.title)}, {pairs_words(list(runs))}")
    show_pictures(arms, said, in_cell(said[0], *cell), f"cell-of-{place}")


def _show_difference(shown: Sequence[ShownArm], names: Sequence[str], cell: Cell) -> None:
    """The images that are in one arm's cell and not in the other's, both ways."""
    runs = [finished_pairs(arm) for arm in shown]
    pairs = [pair for pair in runs[0] if pair in runs[1]]
    if not pairs:
        st.caption("No pair has finished in both arms, so no image can be held against itself.")
        return
    said = [pooled(of_arm, pairs) for of_arm in runs]
    for place in (0, 1):
        ours, theirs = (place, 1 - place)
        st.markdown(
            f"**{_happened(names, cell)}** by {escape(shown[ours].title)} and not by "
            f"{escape(shown[theirs].title)}, {pairs_words(pairs)}"
        )
        positions = only_in_first(said[ours], said[theirs], *cell)
        order = (ours, theirs)
        show_pictures(
            [shown[p] for p in order], [said[p] for p in order], positions, f"only-{place}"
        )


def _happened(names: Sequence[str], cell: Cell) -> str:
    """What happened in a cell, in words."""
    true, said = (escape(names[place]) for place in cell)
    return f"{true} recognised" if cell[0] == cell[1] else f"{true} taken for {said}"
