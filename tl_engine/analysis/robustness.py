"""What corrupted images do to accuracy: per corruption and severity, and between paired runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tl_engine.analysis.verdict import LEAST_PAIRS, Interval, t_interval


class Robustness(NamedTuple):
    """What a run makes of a sample of validation images, corrupted.

    Attributes:
        total: images of the sample.
        sample: tells the sample from any other.
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
    def of(cls, answer: Mapping[str, Any]) -> Robustness:
        """From the counts that a run's answer holds."""
        total, counts = answer["total"], answer["corrupted"]
        shares = np.array(list(counts.values()), float) / total
        return cls(total, answer["sample"], answer["clean"] / total, shares, tuple(counts))

    @property
    def mean(self) -> float:
        """Accuracy over all corruptions and severities."""
        return float(self.corrupted.mean())


class Contrast(NamedTuple):
    """First minus second arm, pair by pair, as shares.

    Attributes:
        cells: (corruptions, severities), mean over the pairs.
        clean, mean: (n,) on the sample as it is, and over all corruptions, per pair.
    """

    cells: np.ndarray
    clean: np.ndarray
    mean: np.ndarray

    @property
    def interval(self) -> Interval | None:
        """The 95 % paired t interval of the mean over all corruptions; None for fewer than four
        pairs."""
        return t_interval(self.mean) if len(self.mean) >= LEAST_PAIRS else None


def contrast(first: Sequence[Robustness], second: Sequence[Robustness]) -> Contrast:
    """What the first of each pair has more than the second.

    Args:
        first, second: at least one, of the same pairs in the same order.

    Raises:
        ValueError: where a pair was asked of different images.
    """
    pairs = list(zip(first, second, strict=True))
    if any((a.sample, a.names) != (b.sample, b.names) for a, b in pairs):
        raise ValueError("Both runs of a pair are asked of the same images.")
    cells = np.mean([a.corrupted - b.corrupted for a, b in pairs], axis=0)
    clean = np.array([a.clean - b.clean for a, b in pairs])
    return Contrast(cells, clean, np.array([a.mean - b.mean for a, b in pairs]))
