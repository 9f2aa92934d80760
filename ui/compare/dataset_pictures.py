"""Pictures behind a number: a page of thumbnails with what the arms said of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from tl_engine.analysis.misclassified import once_each
from tl_engine.analysis.predictions import Predictions
from tl_engine.charts.thumbnails import Predicted, Thumbnail, thumbnails
from tl_engine.data.sources import load
from tl_engine.data.splits import published_validation
from ui.arms import ShownArm

PER_PAGE = 24


def show_pictures(
    arms: Sequence[ShownArm], said: Sequence[Predictions], positions: np.ndarray, key: str
) -> None:
    """Draw the pictures at these positions, each once, a page of them at a time.

    Args:
        arms: whose words stand under each picture.
        said: what each of them said, row by row of the same images.
        positions: (m,) rows, in the order in which they are to be seen.
    """
    shown, *times = once_each(said[0], positions)
    if not len(shown):
        st.caption("No image.")
        return
    place = _page(len(shown), len(positions), key)
    here = slice(place * PER_PAGE, (place + 1) * PER_PAGE)
    st.html(
        thumbnails(pictures(arms, said, shown[here], _notes(*(counts[here] for counts in times))))
    )


def show_some(arm: ShownArm, said: Predictions, positions: np.ndarray, most: int) -> None:
    """Draw the first few of the pictures at these positions, each once, without turning over."""
    shown, *times = once_each(said, positions)
    notes = _notes(*(counts[:most] for counts in times))
    st.html(thumbnails(pictures([arm], [said], shown[:most], notes)))


def pictures(
    arms: Sequence[ShownArm],
    said: Sequence[Predictions],
    positions: np.ndarray,
    notes: Sequence[str],
) -> list[Thumbnail]:
    """The images of these rows with what each arm said of them there."""
    described = arms[0].runs[0].recipe.described_dataset
    published = published_validation(load(described.name)).images
    names = described.class_names
    return [
        Thumbnail(
            np.asarray(published[said[0].indices[row]]),
            names[said[0].labels[row]],
            tuple(
                Predicted(arm.colour, arm.title, names[of.predicted[row]], of.confidences[row])
                for arm, of in zip(arms, said, strict=True)
            ),
            note,
        )
        for row, note in zip(positions, notes, strict=True)
    ]


def _notes(times: np.ndarray, of: np.ndarray) -> list[str]:
    return [f"in {n} of {m} pairs" if m > 1 else "" for n, m in zip(times, of, strict=True)]


def _page(images: int, rows: int, key: str) -> int:
    """Say how many there are, and ask for a page where they are more than one holds, from 0."""
    of = f" ({rows:,} predictions)" if rows > images else ""
    pages = -(-images // PER_PAGE)
    if pages == 1:
        st.caption(("1 image" if images == 1 else f"{images:,} images") + of)
        return 0
    words = st.empty()
    # With another number of images it is another choice, which begins with the first page.
    page = st.pagination(pages, key=f"{key}-page-{images}") - 1
    here = min(PER_PAGE, images - page * PER_PAGE)
    words.caption(f"{here} of {images:,} images{of}, {images - here:,} more")
    return page
