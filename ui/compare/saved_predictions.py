"""What finished runs said of validation images, read once for all visitors."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from tl_engine.analysis.calibration import Calibration, calibration
from tl_engine.analysis.predictions import Predictions, joined, predictions
from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, summarise
from tl_engine.runs.run_outputs import probabilities
from tl_engine.storage.memory import FolderCache
from ui.arms import ShownArm

ALL = 0
"""In the place of a pair's number, which is 1 or more."""
_predictions: FolderCache[Predictions] = FolderCache(maximum=1000)
_calibrations: FolderCache[Calibration] = FolderCache(maximum=1000)


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


def counted_per_seed(seeds: int) -> None:
    """Say that predictions of several seeds are summed."""
    if seeds > 1:
        st.caption(
            f"Predictions of {seeds} seeds are summed: each image is counted once per seed that "
            "has it, so these are not so many different images."
        )


def _validation(run: Run) -> dict[str, np.ndarray]:
    arrays = probabilities(run)
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
