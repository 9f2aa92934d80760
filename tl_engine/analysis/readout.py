"""Features, weights and probabilities summarised as single numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

RIDGE = 0.1
"""The penalty, as a share of the images' mean squared distance from their mean."""

PIECE = 2**15
"""Numbers that are squared together: 256 KB in float64."""


def refitted_accuracy(
    features: np.ndarray, labels: np.ndarray, tested: Sequence[np.ndarray]
) -> list[float]:
    """How well a linear classifier reads the classes off features, each half of the images read
    by one that was fitted on the other half: least squares on one-hot labels with a penalty
    (ridge), solved exactly.

    Args:
        features: (n, p), of the images on which it is fitted.
        tested: sets of features of the same images, (n, p) each.

    Returns:
        The share of images read right, 0 to 1, for each of those sets.
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
    return relative(
        float(_lengths(features.astype(np.float64) - reference).mean()),
        float(_lengths(reference.astype(np.float64)).mean()),
    )


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
        return float("nan"), float("nan")
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
    return float(_lengths(probabilities - truth).mean())


def norm(arrays: Iterable[np.ndarray]) -> float:
    """The Frobenius norm of several arrays together."""
    return float(np.sqrt(sum(map(_squares, arrays))))


def relative(value: float, reference: float) -> float:
    """Their quotient; NaN where the reference is zero."""
    return value / reference if reference > 0 else float("nan")


def _squares(array: np.ndarray, reference: np.ndarray | None = None) -> float:
    """The sum of squares, of the distance from a reference if one is given, in float64.

    A piece at a time, which stays in a core's cache: whole arrays in float64 may take as much
    memory as training. Not by BLAS, whose threads wait by spinning, on cores that train.
    """
    flat = array.reshape(-1)
    other = None if reference is None else reference.reshape(-1)
    total = 0.0
    for start in range(0, len(flat), PIECE):
        piece = flat[start : start + PIECE].astype(np.float64)
        if other is not None:
            piece -= other[start : start + PIECE]
        total += float(np.einsum("i,i->", piece, piece))
    return total


def _lengths(rows: np.ndarray) -> np.ndarray:
    return np.sqrt((rows * rows).sum(axis=1))
