"""The gallery of validation images: each with its true class, filtered by what models said."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce
from typing import NamedTuple

import numpy as np
import streamlit as st

from tl_engine.data.decoding import to_png
from tl_engine.data.sources import LabelledImages
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import probabilities
from tl_engine.text import escape, plain
from ui.frame import choose

PER_PAGE = 24
SHOWS = {
    "all": "All",
    "mistakes": "Only mistakes",
    "disagree": "Only where the two disagree",
}


class Picture(NamedTuple):
    """A validation picture: uint8 (height, width, 3), and the index of its true class."""

    pixels: np.ndarray
    truth: int


@dataclass(frozen=True)
class Gallery:
    """The validation images that the chosen models share, and what they said of each.

    Attributes:
        images: the published array that validation was taken from.
    """

    runs: list[Run]
    images: LabelledImages
    class_names: tuple[str, ...]

    @cached_property
    def _kept(self) -> list[dict[str, np.ndarray]]:
        return [probabilities(run) for run in self.runs]

    @cached_property
    def indices(self) -> np.ndarray:
        """(n,) of the images in their published array; where validation is carved from training
        images, each pair has its own, and two share some."""
        return reduce(np.intersect1d, (arrays["validation_indices"] for arrays in self._kept))

    @cached_property
    def labels(self) -> np.ndarray:
        """(n,) their true classes."""
        return self.images.labels[self.indices]

    @cached_property
    def predicted(self) -> np.ndarray:
        """Class indices (models, n), from the probabilities that the runs left."""
        return np.stack(
            [
                arrays["validation"][
                    np.isin(arrays["validation_indices"], self.indices, assume_unique=True)
                ].argmax(axis=1)
                for arrays in self._kept
            ]
        )

    def picture(self, position: int) -> Picture:
        """One of them."""
        pixels = np.asarray(self.images.images[self.indices[position]])
        return Picture(pixels, int(self.labels[position]))

    def positions(self, wanted_class: int | None, show: str) -> np.ndarray:
        """Positions of the pictures that the filters leave."""
        predicted, labels = self.predicted, self.labels
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
        classes = {None: "Every class"} | {n: plain(name) for n, name in enumerate(names)}
        wanted = choose(st.selectbox, "Class", classes, "class", width=220)
        shows = {name: SHOWS[name] for name in SHOWS if name != "disagree" or len(gallery.runs) > 1}
        show = choose(st.segmented_control, "Show", shows, "show", default="all", required=True)
    positions = gallery.positions(wanted, show)
    if not len(positions):
        st.info("No validation image is left by these filters.", icon=":material/filter_alt_off:")
        return None
    st.caption(f"{len(positions):,} of {len(gallery.labels):,} validation images")
    pages = -(-len(positions) // PER_PAGE)
    page = st.pagination(pages, key=f"page-{wanted}-{show}") if pages > 1 else 1
    shown = positions[(page - 1) * PER_PAGE : page * PER_PAGE]
    _draw(gallery, shown)
    chosen = st.session_state.get("picture")
    return gallery.picture(chosen if chosen is not None and chosen in shown else int(shown[0]))


def _draw(gallery: Gallery, positions: np.ndarray) -> None:
    predicted = gallery.predicted
    with st.container(horizontal=True, gap="small", key="gallery"):
        for position in positions:
            pixels, truth = gallery.picture(int(position))
            right = all(predicted[:, position] == truth)
            with st.container(width=96, gap=None):
                st.image(to_png(pixels), width=88)
                st.button(
                    f"{'✓' if right else '✗'} {escape(gallery.class_names[truth])}",
                    key=f"picture-{position}",
                    type="tertiary",
                    on_click=_choose,
                    args=(int(position),),
                )


def _choose(position: int) -> None:
    st.session_state.picture = position
