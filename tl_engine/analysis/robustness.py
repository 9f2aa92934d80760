"""What corrupted images do to accuracy: per corruption and severity, and between paired runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Robustness(NamedTuple):
    """A run's accuracy on a sample of validation images, as they are and corrupted.

    Attributes:
        total: images of the sample.
        sample: identifies it.
        clean: accuracy on the sample as it is, 0 to 1.
        corrupted: (corruptions, severities) accuracies, 0 to 1.
        names: of the corruptions.
    """

    total: int
    sample: str
    clean: float
    corrupted: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, result: Mapping[str, Any]) -> Robustness:
        """From the counts in a run's robustness.json."""
        total, counts = result["total"], result["corrupted"]
        shares = np.array(list(counts.values()), float) / total
        return cls(total, result["sample"], result["clean"] / total, shares, tuple(counts))

    @property
    def mean(self) -> float:
        """Accuracy over all corruptions and severities."""
        return float(self.corrupted.mean())


def mean_accuracy(runs: Sequence[Robustness]) -> pd.DataFrame:
    """Mean accuracy, as a share: a row per corruption, a column per severity.

    Args:
        runs: at least one.
    """
    return _table(runs[0].names, np.mean([run.corrupted for run in runs], axis=0))


def mean_difference(first: Sequence[Robustness], second: Sequence[Robustness]) -> pd.DataFrame:
    """Mean of first minus second, as a share: a row per corruption, a column per severity.

    Args:
        first, second: at least one, of the same pairs in the same order.

    Raises:
        ValueError: where the runs of a pair were measured on different images.
    """
    pairs = list(zip(first, second, strict=True))
    if any((a.sample, a.names) != (b.sample, b.names) for a, b in pairs):
        raise ValueError("Both runs of a pair are measured on the same images.")
    cells = np.mean([a.corrupted - b.corrupted for a, b in pairs], axis=0)
    return _table(first[0].names, cells)


def _table(names: Sequence[str], cells: np.ndarray) -> pd.DataFrame:
    severities = range(1, cells.shape[1] + 1)
    return pd.DataFrame(cells, index=pd.Index(names, name="corruption"), columns=severities)
