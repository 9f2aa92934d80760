"""The images of a dataset as plain arrays, checked against its description; loads no Keras."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock

import numpy as np

from tl_engine.catalog.datasets import Dataset
from tl_engine.data.registry import entry
from tl_engine.errors import CatalogError, DataUnavailable

LOADING = Lock()


@dataclass(frozen=True)
class LabelledImages:
    """Images with a label each, not to be written to.

    Attributes:
        images: uint8 (n, height, width, 3); grey ones are one channel in memory, seen three times.
        labels: int64 (n,).
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Images:
    """A dataset as published.

    Attributes:
        validation: None where none is published.
        fingerprint: sha256, in hex, of all arrays with their shapes and types, labels as int64.
    """

    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages
    fingerprint: str


def load(name: str) -> Images:
    """The images of a dataset of the registry; the last two that were read stay in memory.

    Raises:
        DataUnavailable: where they are not on this machine, or are damaged.
    """
    with LOADING:
        return _load(name)


def available(name: str) -> bool:
    """Whether the images are on this machine; looks for files, reads none."""
    return entry(name).source() is not None


@lru_cache(maxsize=2)
def _load(name: str) -> Images:
    try:
        found = entry(name)
    except CatalogError as error:
        raise DataUnavailable(f"The images cannot be read: {error}") from error
    source, title = found.source(), found.dataset.title
    if source is None and found.is_fetched:
        raise DataUnavailable(
            f"{title} is not on this machine yet: it is fetched when a run first uses it; "
            "Fashion-MNIST mini comes with Thaw."
        )
    source = source or found.sources[0]
    try:
        return _checked(found.dataset, source.read())
    except Exception as error:  # readers raise whatever a damaged file makes them stumble on
        raise DataUnavailable(
            f"The images of {title} cannot be read ({error}): {source.remedy}."
        ) from error


def _checked(described: Dataset, arrays: dict[str, np.ndarray]) -> Images:
    digest = hashlib.sha256()
    parts: dict[str, LabelledImages] = {}
    for part in ("train", "validation", "test") if described.validation else ("train", "test"):
        images = np.asarray(arrays[f"{part}_images"])
        labels = np.array(arrays[f"{part}_labels"], np.int64).reshape(-1)
        _check(described, part, images, labels)
        for array in (images, labels):
            digest.update(f"{part}{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
        labels.setflags(write=False)
        if described.channels == 1:
            images = np.broadcast_to(images[..., None], (*images.shape, 3))
        parts[part] = LabelledImages(images, labels)
    return Images(parts["train"], parts.get("validation"), parts["test"], digest.hexdigest())


def _check(described: Dataset, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    colours = () if described.channels == 1 else (described.channels,)
    size = (described.height, described.width, *colours)
    if images.dtype != np.uint8 or images.shape[1:] != size or len(images) != len(labels):
        raise ValueError(
            f"the {part} images should be bytes of shape {size} with a label each, got "
            f"{images.dtype} {images.shape} and {len(labels)} labels"
        )
    if not len(labels) or not 0 <= labels.min() <= labels.max() < described.classes:
        found = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise ValueError(f"the {part} labels should be 0 to {described.classes - 1}, got {found}")
