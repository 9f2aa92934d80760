"""Read a dataset's published images, as plain arrays; loads no Keras.

Sources: the npz that ships with Thaw, Debian's package dataset-fashion-mnist, or arrays that
`learning/downloads.py` prepared once from what keras.datasets fetched.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from tl_engine.catalog.datasets import Dataset, dataset
from tl_engine.errors import DataUnavailable

SHIPPED = Path(__file__).parent / "catalog" / "fashion-mini.npz"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
IDX = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}


@dataclass(frozen=True)
class LabelledImages:
    """uint8 images (n, height, width, 3), grey ones repeated without a copy, and int64 labels (n,)."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Images:
    """A dataset as published.

    Attributes:
        validation: None where none is published.
        fingerprint: sha256, in hex, of all arrays with their shapes and types.
    """

    train: LabelledImages
    validation: LabelledImages | None
    test: LabelledImages
    fingerprint: str


@lru_cache(maxsize=2)
def load(name: str) -> Images:
    """The images of a dataset of the catalog.

    Raises:
        DataUnavailable: where they are not on this machine, or are damaged.
    """
    described = dataset(name)
    try:
        arrays = _source(described)()
    except FileNotFoundError:
        raise DataUnavailable(
            f"{described.title} is not on this machine yet: it is fetched when a run first uses "
            "it; Fashion-MNIST mini comes with Thaw."
        ) from None
    except (OSError, ValueError, EOFError, KeyError, zlib.error, zipfile.BadZipFile) as error:
        raise DataUnavailable(
            f"The files of {described.title} are damaged ({error}): remove them from "
            f"{_place(described)} and they are fetched again."
        ) from error
    return _checked(described, arrays)


def available(name: str) -> bool:
    """Whether the images are on this machine; looks for files, reads none."""
    described = dataset(name)
    if described.offline:
        return SHIPPED.exists()
    debian = name == "fashion-mnist" and all((DEBIAN / file).exists() for file in IDX.values())
    return debian or (prepared_folder(name) / "complete").exists()


def prepared_folder(name: str) -> Path:
    """Where the prepared arrays of a fetched dataset live: beside Keras' own cache."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    return Path(home) / "datasets" / f"thaw-{name}"


def read_idx(path: Path) -> np.ndarray:
    """A gzip file of the IDX format: two zero bytes, type 8 (uint8), dimensions, sizes, values."""
    with gzip.open(path, "rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:3] != b"\x00\x00\x08":
            raise ValueError(f"{path.name} is no IDX file of bytes")
        shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(head[3]))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)


def _source(described: Dataset) -> Callable[[], dict[str, np.ndarray]]:
    if described.offline:
        return _read_shipped
    if described.name == "fashion-mnist" and DEBIAN.is_dir():
        return lambda: {array: read_idx(DEBIAN / file) for array, file in IDX.items()}
    return lambda: _read_prepared(described.name)


def _place(described: Dataset) -> Path:
    return SHIPPED.parent if described.offline else prepared_folder(described.name)


def _read_shipped() -> dict[str, np.ndarray]:
    with np.load(SHIPPED, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_prepared(name: str) -> dict[str, np.ndarray]:
    folder = prepared_folder(name)
    if not (folder / "complete").exists():
        raise FileNotFoundError(folder)
    return {
        array: np.load(folder / f"{array}.npy", mmap_mode="r", allow_pickle=False)
        for array in ARRAYS
    }


def _checked(described: Dataset, arrays: dict[str, np.ndarray]) -> Images:
    digest = hashlib.sha256()
    parts: dict[str, LabelledImages] = {}
    for part in ("train", "validation", "test"):
        if f"{part}_images" not in arrays:
            continue
        images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"].reshape(-1)
        size = (described.height, described.width)
        if images.dtype != np.uint8 or images.shape[1:3] != size or len(images) != len(labels):
            raise DataUnavailable(
                f"The {part} images of {described.title} should be {size[0]} x {size[1]} pixels "
                f"with a label each, got an array of {images.shape} and {len(labels)} labels."
            )
        if len(labels) and not 0 <= labels.min() <= labels.max() < described.classes:
            raise DataUnavailable(
                f"The labels of {described.title} should be 0 to {described.classes - 1}, "
                f"got {labels.min()} to {labels.max()}."
            )
        for array in (images, labels.astype(np.int64)):
            digest.update(f"{part}{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).data)
        parts[part] = LabelledImages(_three_channels(images), labels.astype(np.int64))
    return Images(parts["train"], parts.get("validation"), parts["test"], digest.hexdigest())


def _three_channels(images: np.ndarray) -> np.ndarray:
    if images.ndim == 4:
        return images
    return np.broadcast_to(images[..., None], (*images.shape, 3))
