"""Read a dataset's published images, as plain arrays; loads no Keras.

Sources: the npz that ships with Thaw, Debian's package dataset-fashion-mnist, or arrays that
`learning/downloads.py` prepared once from what keras.datasets fetched. Of those four files the
last is written last: while one is missing, the dataset is not on this machine.
"""

from __future__ import annotations

import gzip
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import NamedTuple

import numpy as np

from tl_engine.catalog.datasets import Dataset, dataset
from tl_engine.errors import DataUnavailable

SHIPPED = Path(__file__).parent / "fashion-mini.npz"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
IDX = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}
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


class Source(NamedTuple):
    """A way to read the published arrays, and what to do where it fails."""

    read: Callable[[], dict[str, np.ndarray]]
    remedy: str


def load(name: str) -> Images:
    """The images of a dataset of the catalog; the last two that were asked for stay in memory.

    Raises:
        DataUnavailable: where they are not on this machine, or are damaged.
    """
    with LOADING:
        return _load(name)


def available(name: str) -> bool:
    """Whether the images are on this machine; looks for files, reads none."""
    if dataset(name).offline:
        return SHIPPED.exists()
    folder = prepared_folder(name)
    return _from_debian(name) or all((folder / f"{array}.npy").exists() for array in ARRAYS)


def prepared_folder(name: str) -> Path:
    """Where the prepared arrays of a fetched dataset live: beside Keras' own cache."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return home / "datasets" / f"thaw-{name}"


def read_idx(path: Path) -> np.ndarray:
    """A gzip file of the IDX format: two zero bytes, type 8 (uint8), dimensions, sizes, values.

    Raises:
        ValueError, OSError, EOFError: for a file that is none, or is damaged.
    """
    with gzip.open(path, "rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:3] != b"\x00\x00\x08":
            raise ValueError(f"{path.name} is no IDX file of bytes")
        shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(head[3]))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


@lru_cache(maxsize=2)
def _load(name: str) -> Images:
    described = dataset(name)
    if not (described.offline or available(name)):
        raise DataUnavailable(
            f"{described.title} is not on this machine yet: it is fetched when a run first uses "
            "it; Fashion-MNIST mini comes with Thaw."
        )
    source = _source(described)
    try:
        return _checked(described, source.read())
    except Exception as error:  # readers raise whatever a damaged file makes them stumble on
        raise DataUnavailable(
            f"The images of {described.title} cannot be read ({error}): {source.remedy}."
        ) from error


def _source(described: Dataset) -> Source:
    name = described.name
    if described.offline:
        return Source(_read_shipped, f"restore {SHIPPED.name} from Thaw's repository")
    if _from_debian(name):
        return Source(_read_debian, "reinstall Debian's package dataset-fashion-mnist")
    remedy = f"remove {prepared_folder(name)} and they are fetched again"
    return Source(lambda: _read_prepared(name), remedy)


def _from_debian(name: str) -> bool:
    return name == "fashion-mnist" and all((DEBIAN / file).exists() for file in IDX.values())


def _read_shipped() -> dict[str, np.ndarray]:
    with open(SHIPPED, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_debian() -> dict[str, np.ndarray]:
    return {array: read_idx(DEBIAN / file) for array, file in IDX.items()}


def _read_prepared(name: str) -> dict[str, np.ndarray]:
    # Not np.load, which would follow a damaged file's word that it is an archive or a pickle.
    return {
        array: np.lib.format.open_memmap(prepared_folder(name) / f"{array}.npy", mode="r")
        for array in ARRAYS
    }


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
        parts[part] = LabelledImages(_three_channels(images), labels)
    return Images(parts["train"], parts.get("validation"), parts["test"], digest.hexdigest())


def _check(described: Dataset, part: str, images: np.ndarray, labels: np.ndarray) -> None:
    size: tuple[int, ...] = (described.height, described.width)
    size = size if described.channels == 1 else (*size, described.channels)
    if images.dtype != np.uint8 or images.shape[1:] != size or len(images) != len(labels):
        raise ValueError(
            f"the {part} images should be bytes of shape {size} with a label each, got "
            f"{images.dtype} {images.shape} and {len(labels)} labels"
        )
    if not len(labels) or not 0 <= labels.min() <= labels.max() < described.classes:
        found = f"{labels.min()} to {labels.max()}" if len(labels) else "none"
        raise ValueError(f"the {part} labels should be 0 to {described.classes - 1}, got {found}")


def _three_channels(images: np.ndarray) -> np.ndarray:
    if images.ndim == 4:
        return images
    return np.broadcast_to(images[..., None], (*images.shape, 3))
