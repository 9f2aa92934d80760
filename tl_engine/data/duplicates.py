"""Near-duplicates: which test images look like one that was there to learn from."""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np

NEAR = 2
"""Bits of 64 in which two images may differ. On Fashion-MNIST mini 93 % of images stay so near to
a copy of themselves saved as JPEG of quality 80, 98 % to a brighter one and all to a blurred one;
of two images of different classes, which are no copies, one pair in 1.5 million comes so near."""
AT_ONCE = 2**18
"""Pairs that are compared together: as many as a processor keeps at hand."""


class Duplicates(NamedTuple):
    """Test images that are, or look, like one outside the test split.

    Attributes:
        exact, near: ascending positions in the test split; exact ones are among the near.
        test, others: how many images were compared.
    """

    exact: np.ndarray
    near: np.ndarray
    test: int
    others: int


def duplicates(test: np.ndarray, others: np.ndarray) -> Duplicates:
    """Compare every test image with every other one.

    Args:
        test, others: uint8 (n, height, width, 3).
    """
    exact = np.flatnonzero(np.isin(digests(test), digests(others)))
    near = np.flatnonzero(_nearest(perceptual_hash(test), perceptual_hash(others)) <= NEAR)
    return Duplicates(exact, np.union1d(exact, near), len(test), len(others))


def digests(images: np.ndarray) -> np.ndarray:
    """(n,) sha256 of each image's bytes, 32 bytes each."""
    made = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    return np.array(made, dtype="V32")


def perceptual_hash(images: np.ndarray) -> np.ndarray:
    """(n,) uint64: which of the 8 x 8 lowest frequencies of the grey image lie above their median
    (pHash; Zauner 2010). Unlike a hash of neighbouring pixels it is balanced where most of an
    image is empty.

    Args:
        images: uint8 (n, height, width, 3), at least 8 pixels on a side.
    """
    grey = np.stack([image.mean(axis=-1, dtype=np.float32) for image in images])
    rows, columns = (_cosines(side) for side in grey.shape[1:])
    low = (rows @ grey @ columns.T).reshape(len(grey), 64)
    # The first is the mean brightness, which says nothing about the picture.
    above = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(np.uint64).ravel()


def _cosines(side: int) -> np.ndarray:
    """(8, side) the lowest frequencies of the discrete cosine transform."""
    places = (np.arange(side) + 0.5) / side
    return np.cos(np.pi * np.arange(8)[:, None] * places).astype(np.float32)


def _nearest(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) bits in which the nearest of the others differs."""
    step = max(AT_ONCE // max(len(others), 1), 1)
    found = [
        np.bitwise_count(hashes[start : start + step, None] ^ others[None]).min(axis=1)
        for start in range(0, len(hashes), step)
    ]
    return np.concatenate(found)
