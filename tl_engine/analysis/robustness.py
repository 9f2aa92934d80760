"""What corrupted images do to accuracy: per corruption and severity, and between paired runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd


class Robustness(NamedTuple):
    """A run's accuracy on a sample of so many (`total`) validation images.

    Attributes:
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
    """Mean accuracy of runs, at least one, as a share: a row per corruption, a column per
    severity."""
    return _mean(runs[0].names, [run.corrupted for run in runs])


def mean_difference(first: Sequence[Robustness], second: Sequence[Robustness]) -> pd.DataFrame:
    """Mean of first minus second, runs of the same pairs in the same order, as a share: a row per
    corruption, a column per severity.

    Raises:
        ValueError: where the runs of a pair were measured on different images.
    """
    pairs = list(zip(first, second, strict=True))
    if any((a.sample, a.names) != (b.sample, b.names) for a, b in pairs):
        raise ValueError("Both runs of a pair are measured on the same images.")
    return _mean(first[0].names, [a.corrupted - b.corrupted for a, b in pairs])


def _mean(names: Sequence[str], tables: Sequence[np.ndarray]) -> pd.DataFrame:
    cells = np.mean(tables, axis=0)
    severities = range(1, cells.shape[1] + 1)
    return pd.DataFrame(cells, index=pd.Index(names, name="corruption"), columns=severities)
