"""Two arms pair by pair: on one set of images, class by class, by corruption, as pairs come in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from tl_engine.analysis.interval import (
    ALPHA,
    LEAST_PAIRS,
    Interval,
    confidence_sequence,
    is_constant,
    sample_of,
    t_interval,
    t_p,
)
from tl_engine.analysis.rule import Pairs, analyses
from tl_engine.analysis.verdict import holm


class Robustness(NamedTuple):
    """A run's accuracy, 0 to 1, on the `total` validation images that `sample` identifies: as they
    are, and corrupted (corruptions, severities)."""

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


class PairedScores(NamedTuple):
    """Two arms over the pairs that both have: how many, the mean score of each as a share (NaN
    without a pair), and the 95 % interval of first minus second; None for fewer than four pairs,
    and where all of them differ by the same."""

    pairs: int
    first: float
    second: float
    interval: Interval | None

    @property
    def difference(self) -> float:
        """Mean of first minus second, as a share."""
        return self.first - self.second


def paired_scores(
    first: Mapping[int, float], second: Mapping[int, float], *, all_in: bool
) -> PairedScores:
    """Compare two arms by a score, as a share, per pair. Where the number of pairs was fixed before
    the first run and they are `all_in`, by the paired t interval; else by a confidence sequence."""
    common = sorted(set(first) & set(second))
    if not common:
        return PairedScores(0, math.nan, math.nan, None)
    at_first, at_second = (np.array([arm[pair] for pair in common]) for arm in (first, second))
    differences, interval = at_first - at_second, None
    if len(common) >= LEAST_PAIRS and not is_constant(differences):
        interval = (t_interval if all_in else confidence_sequence)(differences)
    return PairedScores(len(common), float(at_first.mean()), float(at_second.mean()), interval)


def class_deltas(first: np.ndarray, second: np.ndarray) -> pd.DataFrame:
    """Recalls of the first arm minus those of the second, paired over seeds: (pairs, classes) each,
    0 to 1, NaN where a class has no image.

    Returns:
        A row per class: class (its index), pairs, first, second (mean recalls over those pairs),
        difference, low, high (95 % paired t interval of this class alone), p (two-sided) and
        p_holm (adjusted for all classes that have a p). Interval and p are NaN under four pairs.
        Where every pair shows the same difference there is no interval, and a p of 1.
    """
    rows = [_class_row(*recalls) for recalls in zip(first.T, second.T, strict=True)]
    columns = ["pairs", "first", "second", "difference", "low", "high", "p"]
    frame = pd.DataFrame(rows, columns=columns)
    frame.insert(0, "class", range(len(rows)))
    frame["p_holm"] = holm(frame["p"].to_numpy(float))
    return frame


def _class_row(first: np.ndarray, second: np.ndarray) -> tuple[float, ...]:
    both = ~(np.isnan(first) | np.isnan(second))
    first, second = first[both], second[both]
    differences, pairs = first - second, int(both.sum())
    if not pairs:
        return (0, *[math.nan] * 6)
    means = (pairs, float(first.mean()), float(second.mean()), float(differences.mean()))
    if pairs < LEAST_PAIRS:
        return (*means, math.nan, math.nan, math.nan)
    if is_constant(differences):
        return (*means, math.nan, math.nan, 1.0)
    return (*means, *t_interval(differences), t_p(sample_of(differences)))


def confidence_fan(pairs: Pairs, alpha: float = ALPHA) -> pd.DataFrame:
    """The mean difference after each pair from the second on, with the confidence sequence that the
    verdict would have had there at its level: columns pairs, difference, low, high. The band is
    infinite where there is none yet: under four pairs, and where all differ by the same."""
    values = np.asarray(pairs.differences, float)
    rows = []
    for count in range(2, len(values) + 1):
        seen = values[:count]
        low, high = -np.inf, np.inf
        if count >= LEAST_PAIRS and not (is_constant(seen) and seen[0] != 0):
            (look,) = analyses(pairs._replace(differences=seen, planned_differences=None))
            low, high = look.interval(alpha)
        rows.append((count, float(seen.mean()), low, high))
    return pd.DataFrame(rows, columns=["pairs", "difference", "low", "high"])


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
