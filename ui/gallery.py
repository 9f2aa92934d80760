"""The gallery of validation images: each with its true class, filtered by what models said."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import streamlit as st

from tl_engine.data.decoding import to_png
from tl_engine.data.sources import LabelledImages
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import probabilities
from tl_engine.text import escape, plain
from ui.frame import choose, pick

PER_PAGE = 24
SHOWS = {"all": "All", "mistakes": "Only mistakes", "disagree": "Only where the two disagree"}


def choose_picture(
    runs: Sequence[Run], images: LabelledImages, class_names: Sequence[str]
) -> tuple[np.ndarray, int] | None:
    """Draw filters and the validation images that the models share; the one that was clicked, else
    the first, uint8 (height, width, 3), with the index of its true class. Validation was taken from
    the published images."""
    indices, predicted = _predictions(runs)
    labels = images.labels[indices]
    wanted, show = _ask_filters(runs, class_names)
    positions = np.flatnonzero(_is_shown(labels, predicted, wanted, show))
    if not len(positions):
        st.info("No validation image is left by these filters.", icon=":material/filter_alt_off:")
        return None
    st.caption(f"{len(positions):,} of {len(labels):,} validation images")
    pages = -(-len(positions) // PER_PAGE)
    page = st.pagination(pages, key=f"page-{wanted}-{show}") if pages > 1 else 1
    shown = positions[(page - 1) * PER_PAGE : page * PER_PAGE].tolist()
    with st.container(horizontal=True, gap="small", key="gallery"):
        for position in shown:
            right = (predicted[:, position] == labels[position]).all()
            title = f"{'✓' if right else '✗'} {escape(class_names[labels[position]])}"
            _draw(images.images[indices[position]], title, position)
    chosen = st.session_state.get("picture")
    position = chosen if chosen in shown else shown[0]
    return np.asarray(images.images[indices[position]]), int(labels[position])


def _ask_filters(runs: Sequence[Run], class_names: Sequence[str]) -> tuple[int | None, str]:
    """A class, or None for all; and a key of SHOWS."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        classes = {None: "Every class"} | {n: plain(name) for n, name in enumerate(class_names)}
        wanted = choose(st.selectbox, "Class", classes, "class", width=220)
        shows = {name: SHOWS[name] for name in SHOWS if name != "disagree" or len(runs) > 1}
        return wanted, pick("Show", shows, "show", default="all")


def _is_shown(
    labels: np.ndarray, predicted: np.ndarray, wanted: int | None, show: str
) -> np.ndarray:
    """Of each image whether the filters leave it."""
    found = np.ones(len(labels), bool) if wanted is None else labels == wanted
    if show == "mistakes":
        found &= (predicted != labels).any(axis=0)
    if show == "disagree":
        found &= predicted[0] != predicted[-1]
    return found


def _predictions(runs: Sequence[Run]) -> tuple[np.ndarray, np.ndarray]:
    """Of the validation images that the models share: indices (n,) in their published array, and
    predicted classes (models, n).

    Where validation is carved from training images, each pair has its own, and two share some.
    """
    saved = [probabilities(run) for run in runs]
    indices = reduce(np.intersect1d, (arrays["validation_indices"] for arrays in saved))
    predicted = [
        arrays["validation"][np.isin(arrays["validation_indices"], indices, assume_unique=True)]
        for arrays in saved
    ]
    return indices, np.stack([of_model.argmax(axis=1) for of_model in predicted])


def _draw(pixels: np.ndarray, title: str, position: int) -> None:
    with st.container(width=96, gap=None):
        st.image(to_png(np.asarray(pixels)), width=88)
        st.button(
            title,
            key=f"picture-{position}",
            type="tertiary",
            on_click=lambda: st.session_state.update(picture=position),
        )
