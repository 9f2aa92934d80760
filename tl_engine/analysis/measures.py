"""What happened in a phase as single numbers: of features, weights, probabilities and losses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

RIDGE = 0.1
"""The penalty, as a share of the images' mean squared distance from their mean."""
PIECE = 2**15
"""Numbers that are squared together: 256 KB in float64."""
EDGE = 50
"""Steps at either end of a phase whose losses are recorded; those on a few images are left out."""
ROW, NEAR = 5, 25
"""Steps of a mean, so that one batch is no spike; and how near to the switch one is looked for."""


class Spike(NamedTuple):
    """How training went on after a switch of phases, in means of ROW steps in a row.

    Attributes:
        height: the highest of the first NEAR steps minus the highest of the last NEAR before, so
            that noise alone gives 0 on average.
        recovered: the first step of the phase, from 1, from which on the mean is at most the median
            of those before; None where that is none of the first steps.
    """

    height: float
    recovered: int | None


def first_and_last(
    steps: Mapping[str, Sequence[float]], fresh: Iterable[float]
) -> dict[str, list[float]]:
    """The losses of a phase's "first" and "last" steps, at most EDGE of each, in order, after a few
    more of them, which are rounded to six digits."""
    more = [float(f"{loss:.6g}") for loss in fresh]
    first = [*steps.get("first", []), *more][:EDGE]
    return {"first": first, "last": [*steps.get("last", []), *more][-EDGE:]}


def spike(before: Sequence[float], after: Sequence[float]) -> Spike | None:
    """What a switch did, from the losses of the last steps before it and the first steps after it;
    None where either side has too few. Of a short phase, `before` has all steps: its first half is
    left out, which tells how that phase itself began."""
    earlier, later = _means(before[len(before) // 2 :][-NEAR:]), _means(after)
    if not len(earlier) or not len(later):
        return None
    height = float(later[: NEAR - ROW + 1].max() - earlier.max())
    back = np.flatnonzero(later <= np.median(earlier))
    return Spike(height, int(back[0]) + 1 if len(back) else None)


def _means(losses: Sequence[float]) -> np.ndarray:
    return np.convolve(losses, np.ones(ROW) / ROW, "valid") if len(losses) >= ROW else np.zeros(0)


def linear_cka(first: np.ndarray, second: np.ndarray) -> float:
    """How similar two sets of features of the same images, (n, p) and (n, q), n at least 4, are:
    linear centred kernel alignment (Kornblith et al. 2019) with the unbiased estimate of HSIC (Song
    et al. 2012, equation 5; used for CKA by Nguyen et al. 2021).

    1 for features that differ by a rotation and a scale, about 0 for unrelated ones, however many
    features there are per image; an estimate, so it may come out slightly below 0. NaN where the
    features of all images are equal in either set.
    """
    first, second = _kernel(first), _kernel(second)
    own = _hsic(first, first) * _hsic(second, second)
    return float(_hsic(first, second) / np.sqrt(own)) if own > 0 else math.nan


def _kernel(features: np.ndarray) -> np.ndarray:
    """Inner products of centred features, nothing on the diagonal."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    kernel = centred @ centred.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(first: np.ndarray, second: np.ndarray) -> float:
    n = len(first)
    sums = first.sum() * second.sum() / ((n - 1) * (n - 2))
    crossed = 2 * (first.sum(axis=0) @ second.sum(axis=0)) / (n - 2)
    return float((np.vdot(first, second) + sums - crossed) / (n * (n - 3)))


def refitted_accuracy(
    features: np.ndarray, labels: np.ndarray, tested: Sequence[np.ndarray]
) -> list[float]:
    """How well a linear classifier reads the classes off features, each half of the images read
    by one that was fitted on the other half: least squares on one-hot labels with a penalty
    (ridge), solved exactly.

    Returns:
        The share of images read right, 0 to 1, for each of the tested sets of features of the same
        images, (n, p) like those on which it is fitted.
    """
    truth = np.eye(int(labels.max()) + 1)[labels]
    order = np.argsort(labels, kind="stable")  # alternating, so that both halves hold every class
    right = np.zeros(len(tested))
    for fitted, read in ((order[::2], order[1::2]), (order[1::2], order[::2])):
        mean, shares = features[fitted].mean(axis=0, dtype=np.float64), truth[fitted].mean(axis=0)
        centred = features[fitted] - mean
        kernel = centred @ centred.T
        penalty = RIDGE * max(kernel.trace() / len(fitted), np.finfo(float).tiny)
        solved = np.linalg.solve(kernel + penalty * np.eye(len(fitted)), truth[fitted] - shares)
        for number, others in enumerate(tested):
            scores = (others[read] - mean) @ (centred.T @ solved) + shares
            right[number] += (scores.argmax(axis=1) == labels[read]).sum()
    return [float(count / len(labels)) for count in right]


def distortion(features: np.ndarray, reference: np.ndarray) -> float:
    """How far features (n, p) are from the reference's, on average, over the reference's mean
    length; Kumar et al. 2022, made relative. NaN where the reference is zero."""
    moved = np.linalg.norm(features.astype(np.float64) - reference, axis=1).mean()
    length = np.linalg.norm(reference.astype(np.float64), axis=1).mean()
    return relative(float(moved), float(length))


def drift(arrays: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    """||W - W0|| / ||W0|| over several arrays together (Frobenius). NaN where W0 is zero."""
    moved = sum(_squares(a, b) for a, b in zip(arrays, reference, strict=True) if a is not b)
    return relative(float(np.sqrt(moved)), norm(reference))


def statistics_drift(
    means: Sequence[np.ndarray],
    variances: Sequence[np.ndarray],
    first_means: Sequence[np.ndarray],
    first_variances: Sequence[np.ndarray],
) -> tuple[float, float]:
    """How far BatchNormalization's moving statistics moved: means over channels of
    |mu - mu0| / sqrt(var0) and of |ln(var / var0)|. NaN without any."""
    if not means:
        return math.nan, math.nan
    mean, variance, first_mean, first_variance = (
        np.concatenate(some).astype(np.float64)
        for some in (means, variances, first_means, first_variances)
    )
    tiny = np.finfo(np.float32).tiny
    moved = np.abs(mean - first_mean) / np.sqrt(np.maximum(first_variance, tiny))
    widened = np.abs(np.log(np.maximum(variance, tiny) / np.maximum(first_variance, tiny)))
    return float(moved.mean()), float(widened.mean())


def energy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean ||p - y||_2 (Ren et al. 2023): the size of the gradient at the logits, 0 to sqrt 2."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(np.linalg.norm(probabilities - truth, axis=1).mean())


def norm(arrays: Iterable[np.ndarray]) -> float:
    """The Frobenius norm of several arrays together."""
    return float(np.sqrt(sum(map(_squares, arrays))))


def relative(value: float, reference: float) -> float:
    """Their quotient; NaN where the reference is zero."""
    return value / reference if reference > 0 else math.nan


def _squares(array: np.ndarray, reference: np.ndarray | None = None) -> float:
    """The sum of squares, of the distance from a reference if one is given, in float64.

    A piece at a time, which stays in a core's cache: whole arrays in float64 may take as much
    memory as training. Not by BLAS, whose threads wait by spinning, on cores that train.
    """
    flat = array.reshape(-1)
    origin = None if reference is None else reference.reshape(-1)
    total = 0.0
    for start in range(0, len(flat), PIECE):
        piece = flat[start : start + PIECE].astype(np.float64)
        if origin is not None:
            piece -= origin[start : start + PIECE]
        total += float(np.einsum("i,i->", piece, piece))
    return total
