"""Leakage: whether a dataset's test images were seen in training, found once and kept."""

from __future__ import annotations

import contextlib

import numpy as np

from tl_engine.data import sources
from tl_engine.data.duplicates import NEAR, Duplicates, duplicates
from tl_engine.runs import Cache

KIND = f"duplicates{NEAR}"


def duplicates_of(name: str, cache: Cache) -> Duplicates:
    """Test images of a dataset that look like a published image of training or validation,
    whether or not a run used that one.

    Raises:
        DataUnavailable: where the images are not on this machine.
    """
    images = sources.load(name)
    if images.fingerprint not in _kept:
        key = images.fingerprint[:32]
        _kept[images.fingerprint] = _read(cache, key) or _compute(images, cache, key)
    return _kept[images.fingerprint]


_kept: dict[str, Duplicates] = {}
"""By fingerprint; some kilobytes for each dataset of the catalog."""


def _read(cache: Cache, key: str) -> Duplicates | None:
    for entry in cache.entries(KIND, key):
        exact, near = (np.array(entry.facts[part], np.int64) for part in ("exact", "near"))
        return Duplicates(exact, near, entry.facts["test"], entry.facts["others"])
    return None


def _compute(images: sources.Images, cache: Cache, key: str) -> Duplicates:
    parts = [images.train, images.validation] if images.validation else [images.train]
    found = duplicates(images.test.images, np.concatenate([part.images for part in parts]))
    facts = {**found._asdict(), "exact": found.exact.tolist(), "near": found.near.tolist()}
    with contextlib.suppress(OSError):  # a full disk costs some seconds the next time
        cache.put(KIND, key, facts, lambda folder: None)
    return found
