"""The interval of a difference over seeds and validation images.

Where pairs share images, an image that happens to suit one arm does so in many pairs, and no number
of seeds averages that out. The model: in pair k, image i differs by
d_ki = difference + seed_k + image_i + rest_ki, crossed, nested or overlapping in part. The variance
of the mean is that of the pair means, which the interval over seeds has, and the variance of
image_i times the mean of n_kl / (n_k n_l) over two pairs k and l that have n_kl images in common.
The products of one image's differences in two pairs estimate the variance of image_i (method of
moments). Both parts are put together by their squares (Zou and Donner 2008), so that the interval
is never narrower than the one over seeds; nothing is drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import Interval
from tl_engine.analysis.verdict import Outcome, Verdict
from tl_engine.metric import ACCURACY, Metric


class PairImages(NamedTuple):
    """What two runs of a pair scored: which images (n,), in the dataset's published array, and the
    score of the first run minus that of the second (n,)."""

    indices: np.ndarray
    differences: np.ndarray


class ImagePart(NamedTuple):
    """What validation images add to the variance of a mean difference, beyond that of the pair
    means over their number, and the mean share of a pair's images that another pair has, 0 to 1."""

    variance: float
    shared: float


class OverImages(NamedTuple):
    """The interval over seeds and images, with a sentence about it and whether the verdict would
    stand for other images; `shared` as in `ImagePart`."""

    interval: Interval
    sentence: str
    shared: float


def image_part(pairs: Sequence[PairImages]) -> ImagePart:
    """What images add, from at least two pairs; 0 where no two share an image, as the spread of
    the pair means includes other images then."""
    places, image = np.unique(np.concatenate([pair.indices for pair in pairs]), return_inverse=True)
    centred = np.concatenate([pair.differences - pair.differences.mean() for pair in pairs])
    weights = np.concatenate([np.full(n, 1 / n) for n in (len(pair.indices) for pair in pairs)])

    def crossed(values: np.ndarray) -> float:
        """Products of the values of one image in two pairs, summed over images and pairs."""
        sums = np.bincount(image, values, len(places))
        return float((sums**2).sum() - (values**2).sum())

    products = crossed(np.ones(len(image)))
    overlap = crossed(weights) / (len(pairs) * (len(pairs) - 1))
    of_image = max(crossed(centred) / products, 0.0) if products else 0.0
    return ImagePart(of_image * overlap, min(overlap * (len(image) / len(pairs)), 1.0))


def widened(interval: Interval, difference: float, part: ImagePart, alpha: float) -> Interval:
    """The interval with the images' part added to each half by its square."""
    from scipy.special import ndtri

    images = float(ndtri(1 - alpha / 2)) ** 2 * part.variance
    halves = difference - interval.low, interval.high - difference
    below, above = (math.sqrt(half**2 + images) for half in halves)
    return Interval(difference - below, difference + above)


def over_images(
    verdict: Verdict,
    pairs: Sequence[PairImages],
    smallest: float,
    *,
    narrow: Interval | None = None,
    metric: Metric = ACCURACY,
) -> OverImages | None:
    """The verdict's interval over seeds and the images of its pairs; None where it has none.

    Args:
        narrow: the interval at twice the verdict's level that must lie within the smallest
            difference for two arms to be equivalent (two one-sided tests), where pairs were
            planned; None where the verdict's own must.
    """
    if verdict.interval is None or len(pairs) < 2:
        return None
    part, difference, alpha = image_part(pairs), verdict.difference, verdict.alpha
    wide = widened(verdict.interval, difference, part, alpha)
    inner = widened(narrow, difference, part, 2 * alpha) if narrow else wide
    sentence = (
        f"Over seeds and validation images: {metric.gain(difference)} {metric.unit} "
        f"({100 * (1 - alpha):.3g} % interval {metric.gain(wide.low)} to "
        f"{metric.gain(wide.high)}). {_stands(verdict.outcome, wide, inner, smallest)}"
    )
    return OverImages(wide, sentence, part.shared)


def _stands(outcome: Outcome, wide: Interval, inner: Interval, smallest: float) -> str:
    """Whether the conclusion would stand for other images, in a sentence."""
    if outcome is Outcome.OPEN:
        return "What cannot be told on these images cannot be told of others either."
    stands = {
        Outcome.BETTER: wide.excludes(smallest),
        Outcome.SMALL: wide.excludes(0.0),
        Outcome.EQUIVALENT: inner.is_within(smallest),
    }
    if stands[outcome]:
        return "The conclusion stands for other images like these, too."
    if outcome is Outcome.BETTER and wide.excludes(0.0):
        ahead = "For other images like these the same arm is ahead"
        return f"{ahead}, but not shown to be by what matters."
    return "The conclusion is about these images: for others like them it is not shown."


def in_images(amount: float, images: int, metric: Metric = ACCURACY) -> str:
    """What an amount of accuracy is in images, "0.5 points are 5 of 1,000 images"; empty for
    another metric."""
    if metric.name != ACCURACY.name:
        return ""
    count = amount * images
    counted = f"{count:,.0f}" if abs(count - round(count)) < 1e-6 else f"{count:,.1f}"
    words = "1 point is" if amount == 0.01 else f"{metric.amount(amount)} are"
    return f"{words} {counted} of {images:,} images."
