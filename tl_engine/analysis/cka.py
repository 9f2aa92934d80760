"""Centred kernel alignment (CKA): how similar two sets of features of the same images are."""

from __future__ import annotations

import numpy as np


def linear_cka(one: np.ndarray, other: np.ndarray) -> float:
    """Linear CKA (Kornblith et al. 2019) with the unbiased estimate of HSIC (Song et al. 2012,
    equation 5; used for CKA by Nguyen et al. 2021).

    1 for features that differ by a rotation and a scale, about 0 for unrelated ones, however many
    features there are per image; an estimate, so it may come out slightly below 0.

    Args:
        one, other: features of the same images, (n, p) and (n, q), n at least 4.

    Returns:
        NaN where the features of all images are equal in either set.
    """
    first, second = _kernel(one), _kernel(other)
    own = _hsic(first, first) * _hsic(second, second)
    return float(_hsic(first, second) / np.sqrt(own)) if own > 0 else float("nan")


def _kernel(features: np.ndarray) -> np.ndarray:
    """Inner products of centred features, nothing on the diagonal."""
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    kernel = centred @ centred.T
    np.fill_diagonal(kernel, 0.0)
    return kernel


def _hsic(one: np.ndarray, other: np.ndarray) -> float:
    n = len(one)
    sums = one.sum() * other.sum() / ((n - 1) * (n - 2))
    crossed = 2 * (one.sum(axis=0) @ other.sum(axis=0)) / (n - 2)
    return float((np.vdot(one, other) + sums - crossed) / (n * (n - 3)))
