"""The images behind a number, each with what the arms predicted of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.predictions import Predictions, once_each
from tl_engine.catalog.datasets import dataset
from tl_engine.charts.thumbnails import Predicted, Thumbnail, thumbnails
from tl_engine.data.sources import load
from tl_engine.data.splits import published_validation
from tl_engine.report.arms import Arm


class Pictures(NamedTuple):
    """Images of a published validation split, each once, in the order in which they are seen.

    Attributes:
        arms: whose predictions stand under each image.
        predictions: of each arm, row by row of the same images.
        rows: (k,) positions in the predictions.
        notes: (k,) a word under each image, or "".
        counted: predictions that these images stand for; more than k where several seeds have one.
    """

    arms: Sequence[Arm]
    predictions: Sequence[Predictions]
    rows: np.ndarray
    notes: Sequence[str]
    counted: int

    def html(self, begin: int = 0, end: int | None = None) -> str:
        """A grid of the images from `begin` to before `end`."""
        described = dataset(self.arms[0].recipe.dataset)
        images = published_validation(load(described.name)).images
        names = described.class_names
        of_first = self.predictions[0]
        shown = [
            Thumbnail(
                np.asarray(images[of_first.indices[row]]),
                names[of_first.labels[row]],
                tuple(
                    Predicted(arm.colour, arm.title, names[of.predicted[row]], of.confidences[row])
                    for arm, of in zip(self.arms, self.predictions, strict=True)
                ),
                note,
            )
            for row, note in zip(self.rows[begin:end], self.notes[begin:end], strict=True)
        ]
        return thumbnails(shown)


def pictures(
    arms: Sequence[Arm],
    predictions: Sequence[Predictions],
    positions: np.ndarray,
    most: int | None = None,
) -> Pictures:
    """The images at these positions (m,) of the predictions, each once.

    Args:
        most: only the first so many.
    """
    rows, times, seeds = once_each(predictions[0], positions)
    notes = [f"in {n} of {m} pairs" if m > 1 else "" for n, m in zip(times, seeds, strict=True)]
    return Pictures(arms, predictions, rows[:most], notes[:most], len(positions))
