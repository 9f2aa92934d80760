"""What finished runs said of validation, read once, and the pictures behind it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from tl_engine.analysis.calibration import Calibration, calibration
from tl_engine.analysis.mistakes import once_each
from tl_engine.analysis.predictions import Predictions, joined, predictions
from tl_engine.catalog.datasets import dataset
from tl_engine.charts.thumbnails import Said, Thumbnail, thumbnails
from tl_engine.data import load
from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, summarise
from tl_engine.runs.kept import Kept
from tl_engine.splits import published_validation
from ui.compare_parts import ShownArm

PER_PAGE = 24
ALL = 0
"""In the place of a pair's number, which is 1 or more."""
_predictions: Kept[Predictions] = Kept(maximum=1000)
_calibrations: Kept[Calibration] = Kept(maximum=1000)


def finished_pairs(arm: ShownArm) -> dict[int, Run]:
    """The arm's finished runs by the number of their pair, in its order."""
    finished = [run for run in arm.runs if summarise(run).state is RunState.FINISHED]
    return {run.pair: run for run in sorted(finished, key=lambda run: run.pair)}


def predictions_of(run: Run) -> Predictions:
    """What a finished run said of its validation images.

    Raises:
        StoreError: where it left no probabilities, or they are damaged.
    """
    return _predictions.get(run.path, lambda: _read(run))


def pooled(runs: dict[int, Run], pairs: Sequence[int]) -> Predictions:
    """What the runs of these pairs said, one after another; at least one pair."""
    return joined([predictions_of(runs[pair]) for pair in pairs])


def calibration_of(run: Run) -> Calibration:
    """How well a finished run's probabilities fit."""
    return _calibrations.get(run.path, lambda: _measure(run))


def choose_pairs(pairs: Sequence[int], key: str) -> list[int]:
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


def pairs_words(pairs: Sequence[int]) -> str:
    """The pairs that are counted: "pair 3", "5 pairs"."""
    return f"pair {pairs[0]}" if len(pairs) == 1 else f"{len(pairs)} pairs"


def show_pictures(
    arms: Sequence[ShownArm], said: Sequence[Predictions], positions: np.ndarray, key: str
) -> None:
    """Draw the pictures at these positions, each once, a page of them at a time.

    Args:
        arms: whose words stand under each picture.
        said: what each of them said, row by row of the same images.
        positions: (m,) rows, in the order in which they are to be seen.
    """
    shown, times = once_each(said[0], positions)
    if not len(shown):
        st.caption("No image.")
        return
    place = _page(len(shown), len(positions), key)
    here = slice(place * PER_PAGE, (place + 1) * PER_PAGE)
    st.html(thumbnails(pictures(arms, said, shown[here], _times(said[0], times[here]))))


def show_some(arm: ShownArm, said: Predictions, positions: np.ndarray, most: int) -> None:
    """Draw the first few of the pictures at these positions, each once, in one row or two."""
    shown, times = once_each(said, positions)
    notes = _times(said, times[:most])
    st.html(thumbnails(pictures([arm], [said], shown[:most], notes)))


def pictures(
    arms: Sequence[ShownArm],
    said: Sequence[Predictions],
    positions: np.ndarray,
    notes: Sequence[str],
) -> list[Thumbnail]:
    """The images of these rows with what each arm said of them there."""
    described = dataset(arms[0].runs[0].recipe.dataset)
    published = published_validation(load(described.name)).images
    names = described.class_names
    return [
        Thumbnail(
            np.asarray(published[said[0].indices[row]]),
            names[said[0].labels[row]],
            tuple(
                Said(arm.colour, arm.title, names[of.predicted[row]], of.confidences[row])
                for arm, of in zip(arms, said, strict=True)
            ),
            note,
        )
        for row, note in zip(positions, notes, strict=True)
    ]


def _times(said: Predictions, times: np.ndarray) -> list[str]:
    pairs = len(np.unique(said.pairs))
    return [f"in {n} of {pairs} pairs" if pairs > 1 else "" for n in times]


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
    here = min(PER_PAGE, images - page * PER_PAGE)
    words.caption(f"{here} of {images:,} images{of}, {images - here:,} more")
    return page


def _validation(run: Run) -> dict[str, np.ndarray]:
    arrays = run.probabilities()
    if "validation" not in arrays:
        raise StoreError(f"Run {run.id} left no probabilities of validation images.")
    return arrays


def _read(run: Run) -> Predictions:
    arrays = _validation(run)
    labels, indices = arrays["validation_labels"], arrays["validation_indices"]
    return predictions(arrays["validation"], labels, indices, run.pair)


def _measure(run: Run) -> Calibration:
    arrays = _validation(run)
    return calibration(arrays["validation"], arrays["validation_labels"])
