"""Near-duplicates: which test images look like one that was there to learn from."""

from __future__ import annotations

import contextlib
import hashlib
from typing import NamedTuple

import numpy as np

from tl_engine.data import sources
from tl_engine.storage.cache import Cache

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


def duplicates_of(name: str, cache: Cache) -> Duplicates:
    """Test images of a dataset that look like a published image of training or validation,
    whether or not a run used that one; compared once.

    Raises:
        DataUnavailable: where the images are not on this machine.
    """
    images = sources.load(name)
    if images.fingerprint not in _found:
        _found[images.fingerprint] = _cached_or_computed(images, cache)
    return _found[images.fingerprint]


_found: dict[str, Duplicates] = {}
"""By fingerprint; some kilobytes for each dataset of the catalog."""


def _cached_or_computed(images: sources.Images, cache: Cache) -> Duplicates:
    kind, key = f"duplicates{NEAR}", images.fingerprint[:32]
    for entry in cache.entries(kind, key):
        exact, near = (np.array(entry.facts[part], np.int64) for part in ("exact", "near"))
        return Duplicates(exact, near, entry.facts["test"], entry.facts["others"])
    parts = [images.train, images.validation] if images.validation else [images.train]
    found = duplicates(images.test.images, np.concatenate([part.images for part in parts]))
    facts = {**found._asdict(), "exact": found.exact.tolist(), "near": found.near.tolist()}
    with contextlib.suppress(OSError):  # a full disk costs some seconds the next time
        cache.put(kind, key, facts, lambda folder: None)
    return found


def duplicates(test: np.ndarray, others: np.ndarray) -> Duplicates:
    """Compare every test image with every other one, uint8 (n, height, width, 3) each."""
    exact = np.flatnonzero(np.isin(digests(test), digests(others)))
    near = np.flatnonzero(_nearest(perceptual_hash(test), perceptual_hash(others)) <= NEAR)
    return Duplicates(exact, np.union1d(exact, near), len(test), len(others))


def digests(images: np.ndarray) -> np.ndarray:
    """(n,) sha256 of each image's bytes, 32 bytes each."""
    made = [hashlib.sha256(np.ascontiguousarray(image).data).digest() for image in images]
    return np.array(made, dtype="V32")


def perceptual_hash(images: np.ndarray) -> np.ndarray:
    """(n,) uint64: which of the 8 x 8 lowest frequencies of the grey image lie above their median
    (pHash; Zauner 2010), of uint8 images (n, height, width, 3) of at least 8 pixels on a side.
    Unlike a hash of neighbouring pixels it is balanced where most of an image is empty."""
    grey = np.stack([image.mean(axis=-1, dtype=np.float32) for image in images])
    # The lowest frequencies of the discrete cosine transform, (8, side) each.
    rows, columns = (
        np.cos(np.pi * np.arange(8)[:, None] * ((np.arange(side) + 0.5) / side)).astype(np.float32)
        for side in grey.shape[1:]
    )
    low = (rows @ grey @ columns.T).reshape(len(grey), 64)
    # The first is the mean brightness, which says nothing about the picture.
    above = low > np.median(low[:, 1:], axis=1, keepdims=True)
    return np.packbits(above, axis=1).view(np.uint64).ravel()


def _nearest(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(n,) bits in which the nearest of the others differs."""
    step = max(AT_ONCE // max(len(others), 1), 1)
    found = [
        np.bitwise_count(hashes[start : start + step, None] ^ others[None]).min(axis=1)
        for start in range(0, len(hashes), step)
    ]
    return np.concatenate(found)
