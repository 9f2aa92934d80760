"""The gallery of a test split: pictures with their true class, filtered by what models said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import streamlit as st

from tl_engine.data import LabelledImages
from tl_engine.images import to_png
from tl_engine.runs import Run
from ui.text import escape, plain

PER_PAGE = 24
SHOWS = {
    "all": "All",
    "mistakes": "Only mistakes",
    "disagree": "Only where the two disagree",
}


class Picture(NamedTuple):
    """A test picture: uint8 (height, width, 3), and the index of its true class."""

    pixels: np.ndarray
    truth: int


@dataclass(frozen=True)
class Gallery:
    """A test split and what the chosen models said of each of its pictures."""

    runs: list[Run]
    images: LabelledImages
    class_names: tuple[str, ...]

    @cached_property
    def predicted(self) -> np.ndarray:
        """Class indices (models, n), from the probabilities that the runs left."""
        return np.stack([run.probabilities()["test"].argmax(axis=1) for run in self.runs])

    def positions(self, wanted_class: int | None, show: str) -> np.ndarray:
        """Positions of the pictures that the filters leave."""
        predicted, labels = self.predicted, self.images.labels
        keep = np.ones(len(labels), bool)
        if wanted_class is not None:
            keep &= labels == wanted_class
        if show == "mistakes":
            keep &= (predicted != labels).any(axis=0)
        if show == "disagree":
            keep &= predicted[0] != predicted[-1]
        return np.flatnonzero(keep)


def choose_picture(gallery: Gallery) -> Picture | None:
    """Draw filters and pictures; the one that was clicked, else the first."""
    names = gallery.class_names
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox(
            "Class",
            [None, *range(len(names))],
            format_func=lambda index: "Every class" if index is None else plain(names[index]),
            key="class",
            width=220,
        )
        shows = [name for name in SHOWS if name != "disagree" or len(gallery.runs) > 1]
        show = st.segmented_control(
            "Show", shows, format_func=SHOWS.__getitem__, default="all", required=True, key="show"
        )
    positions = gallery.positions(wanted, show or "all")
    if not len(positions):
        st.info("No test picture is left by these filters.", icon=":material/filter_alt_off:")
        return None
    st.caption(f"{len(positions):,} of {len(gallery.images):,} test pictures")
    pages = -(-len(positions) // PER_PAGE)
    page = st.pagination(pages, key=f"page-{wanted}-{show}") if pages > 1 else 1
    shown = positions[(page - 1) * PER_PAGE : page * PER_PAGE]
    _draw(gallery, shown)
    chosen = st.session_state.get("picture")
    position = chosen if chosen in shown else shown[0]
    return Picture(
        np.asarray(gallery.images.images[position]), int(gallery.images.labels[position])
    )


def _draw(gallery: Gallery, positions: np.ndarray) -> None:
    predicted = gallery.predicted
    with st.container(horizontal=True, gap="small", key="gallery"):
        for position in positions:
            truth = int(gallery.images.labels[position])
            right = all(predicted[:, position] == truth)
            with st.container(width=96, gap=None):
                st.image(to_png(np.asarray(gallery.images.images[position])), width=88)
                st.button(
                    f"{'✓' if right else '✗'} {escape(gallery.class_names[truth])}",
                    key=f"picture-{position}",
                    type="tertiary",
                    on_click=_choose,
                    args=(int(position),),
                )


def _choose(position: int) -> None:
    st.session_state.picture = position
