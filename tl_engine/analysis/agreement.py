"""Agreement: on which images two arms are right together, alone or not at all."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.predictions import Predictions, check_same_images

CELLS = {
    "both": (0, 0),
    "first": (0, 1),
    "second": (1, 0),
    "neither": (1, 1),
}
"""Who is right, and the (row, column) in the counts: rows are the first arm right and wrong,
columns the second."""


class Disagreement(NamedTuple):
    """How often two say different classes.

    Attributes:
        share: mean over the comparisons; NaN without one.
        comparisons: how many couples of runs.
        images: how many images they share, on average.
    """

    share: float
    comparisons: int
    images: float


def agreement_counts(first: Predictions, second: Predictions) -> np.ndarray:
    """Counts (2, 2) of rows: the first arm right and wrong by the second right and wrong.

    Raises:
        ComparisonError: unless both are of the same images in the same order.
    """
    check_same_images(first, second)
    cells = 2 * ~first.right + ~second.right
    return np.bincount(cells, minlength=4).reshape(2, 2)


def in_agreement(first: Predictions, second: Predictions, who: str) -> np.ndarray:
    """Ascending positions of the rows in which so many are right: one of CELLS.

    Raises:
        ComparisonError: unless both are of the same images in the same order.
    """
    check_same_images(first, second)
    row, column = CELLS[who]
    return np.flatnonzero((first.right == (row == 0)) & (second.right == (column == 0)))


def cohens_kappa(counts: np.ndarray) -> float:
    """Agreement beyond what the margins alone make likely: 1 always, 0 as by chance (Cohen 1960).

    Of counts of right and wrong this is the error consistency of Geirhos et al. 2020
    (arXiv 2006.16736).

    Args:
        counts: (k, k), one judge by the other.

    Returns:
        NaN where the margins leave no room to disagree.
    """
    total = counts.sum()
    if not total:
        return math.nan
    shares = counts / total
    chance = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return math.nan if chance == 1 else float((np.trace(shares) - chance) / (1 - chance))


def mcnemar_p(counts: np.ndarray) -> float:
    """The exact two-sided p of McNemar's test (1947): of one pair of checkpoints, never of arms.

    It asks whether these two models differ on new images. Where training differs from seed to
    seed it finds differences between two runs of one recipe, too.

    Args:
        counts: (2, 2) of one pair, as agreement_counts gives them.
    """
    from scipy.special import bdtr

    alone = int(counts[0, 1]), int(counts[1, 0])
    return min(1.0, 2 * float(bdtr(min(alone), sum(alone), 0.5))) if sum(alone) else 1.0


def disagreement(couples: Iterable[tuple[Predictions, Predictions]]) -> Disagreement:
    """How often the two of a couple say different classes, over the images both have.

    Args:
        couples: each of one run and another; those without a common image are left out.
    """
    shares, images = [], []
    for one, other in couples:
        _, ours, theirs = np.intersect1d(
            one.indices, other.indices, assume_unique=True, return_indices=True
        )
        if len(ours):
            shares.append(float((one.predicted[ours] != other.predicted[theirs]).mean()))
            images.append(len(ours))
    if not shares:
        return Disagreement(math.nan, 0, 0.0)
    return Disagreement(float(np.mean(shares)), len(shares), float(np.mean(images)))


def seed_disagreement(runs: Sequence[Predictions]) -> Disagreement:
    """The reference: how often two runs of one arm with other seeds say different classes."""
    return disagreement(combinations(runs, 2))
