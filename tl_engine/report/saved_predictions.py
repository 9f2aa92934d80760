"""What finished runs predicted of validation images, read once and cached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tl_engine.analysis.calibration import Calibration, calibration
from tl_engine.analysis.predictions import Predictions, joined, predictions
from tl_engine.errors import StoreError
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import probabilities
from tl_engine.storage.memory import FolderCache

_predictions: FolderCache[Predictions] = FolderCache(maximum=1000)
_calibrations: FolderCache[Calibration] = FolderCache(maximum=1000)


def predictions_of(run: Run) -> Predictions:
    """What a finished run predicted of its validation images.

    Raises:
        StoreError: where it left no probabilities, or they are damaged.
    """
    return _predictions.get(run.path, lambda: _read(run))


def pooled(runs: Mapping[int, Run], pairs: Sequence[int]) -> Predictions:
    """What the runs of these pairs predicted, one after another; at least one pair."""
    return joined([predictions_of(runs[pair]) for pair in pairs])


def calibration_of(run: Run) -> Calibration:
    """How well a finished run's probabilities fit.

    Raises:
        StoreError: where it left no probabilities, or they are damaged.
    """
    return _calibrations.get(run.path, lambda: _measure(run))


def pairs_words(pairs: Sequence[int]) -> str:
    """The pairs that are counted: "pair 3", "5 pairs"."""
    return f"pair {pairs[0]}" if len(pairs) == 1 else f"{len(pairs)} pairs"


def seeds_summed(seeds: int) -> tuple[str, ...]:
    """The note that predictions of several seeds are summed; none for one seed."""
    if seeds < 2:
        return ()
    return (
        f"Predictions of {seeds} seeds are summed: each image is counted once per seed that "
        "has it, so these are not so many different images.",
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
