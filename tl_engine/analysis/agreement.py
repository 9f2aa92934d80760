"""Agreement: on which images two arms are right together, alone or not at all.

Functions of two sets of predictions raise a ComparisonError unless both are of the same images in
the same order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.predictions import Predictions, check_same_images

CELLS = {"both": (0, 0), "first": (0, 1), "second": (1, 0), "neither": (1, 1)}
"""Who is right, and the (row, column) in the counts: rows are the first arm right and wrong,
columns the second."""
MISSING = -1
"""In the place of a class: the run has no such image."""


class Reference(NamedTuple):
    """How often two seeds predict different classes: the mean share, 0 to 1, over so many couples
    of runs; NaN without one."""

    share: float
    couples: int


def agreement_counts(first: Predictions, second: Predictions) -> np.ndarray:
    """Counts (2, 2) of rows: the first arm right and wrong by the second right and wrong."""
    check_same_images(first, second)
    cells = 2 * ~first.right + ~second.right
    return np.bincount(cells, minlength=4).reshape(2, 2)


def in_agreement(first: Predictions, second: Predictions, who: str) -> np.ndarray:
    """Ascending positions of the rows in which those are right whom one of CELLS names."""
    check_same_images(first, second)
    row, column = CELLS[who]
    return np.flatnonzero((first.right == (row == 0)) & (second.right == (column == 0)))


def cohens_kappa(counts: np.ndarray) -> float:
    """Agreement beyond what the margins of counts (k, k) alone make likely: 1 always, 0 as by
    chance (Cohen 1960); NaN where the margins leave no room to disagree. Of counts of right and
    wrong this is the error consistency of Geirhos et al. 2020 (arXiv 2006.16736)."""
    total = counts.sum()
    if not total:
        return math.nan
    shares = counts / total
    chance = float(shares.sum(axis=1) @ shares.sum(axis=0))
    return math.nan if chance == 1 else float((np.trace(shares) - chance) / (1 - chance))


def mcnemar_p(counts: np.ndarray) -> float:
    """The exact two-sided p of McNemar's test (1947) for the `agreement_counts` of one pair of
    checkpoints, never of arms.

    It asks whether these two models differ on new images. Where training differs from seed to
    seed it finds differences between two runs of one recipe, too.
    """
    from scipy.special import bdtr

    alone = int(counts[0, 1]), int(counts[1, 0])
    return min(1.0, 2 * float(bdtr(min(alone), sum(alone), 0.5))) if sum(alone) else 1.0


def disagreement(first: Predictions, second: Predictions) -> float:
    """The share of rows for which two arms predict different classes."""
    check_same_images(first, second)
    return float((first.predicted != second.predicted).mean())


def seed_disagreement(runs: Sequence[Predictions]) -> Reference:
    """How often two of an arm's runs predict different classes, over the images that both have;
    couples without a common image are left out."""
    if len(runs) < 2:
        return Reference(math.nan, 0)
    images = np.unique(np.concatenate([run.indices for run in runs]))
    predicted = np.full((len(runs), len(images)), MISSING, np.int16)
    for row, run in zip(predicted, runs, strict=True):
        row[np.searchsorted(images, run.indices)] = run.predicted
    shares: list[float] = []
    for place, row in enumerate(predicted[:-1]):
        later = predicted[place + 1 :]
        is_common = (row != MISSING) & (later != MISSING)
        common, differing = is_common.sum(axis=1), ((later != row) & is_common).sum(axis=1)
        shares += (differing[common > 0] / common[common > 0]).tolist()
    return Reference(float(np.mean(shares)) if shares else math.nan, len(shares))
