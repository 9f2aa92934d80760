"""Build the images that ship with Thaw, byte for byte: `make data`.

From the four original files of Fashion-MNIST, as Debian's package dataset-fashion-mnist installs
them: for each class the first 500 training images and the next 100 as validation, and the first
200 test images, in the order of the published files. Nothing is random, so nothing can drift.
"""

from __future__ import annotations

import io
import sys
import zipfile
from pathlib import Path

import numpy as np

from tl_engine.data.registry import DEBIAN, IDX, SHIPPED, read_idx

CLASSES = 10
PER_CLASS = {"train": 500, "validation": 100, "test": 200}
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest date that a zip file can hold: a real one would change the bytes."""


def main(target: Path = SHIPPED) -> None:
    """Write the file."""
    target.write_bytes(container(select(read_all(DEBIAN))))


def read_all(folder: Path) -> dict[str, np.ndarray]:
    """The four published arrays."""
    return {name: read_idx(folder / file) for name, file in IDX.items()}


def select(published: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The chosen images and labels per split, in their published order."""
    train, test = published["train_labels"], published["test_labels"]
    begin, end = PER_CLASS["train"], PER_CLASS["train"] + PER_CLASS["validation"]
    chosen = {
        "train": ("train", first(train, 0, begin)),
        "validation": ("train", first(train, begin, end)),
        "test": ("test", first(test, 0, PER_CLASS["test"])),
    }
    return {
        f"{split}_{kind}": published[f"{source}_{kind}"][positions]
        for split, (source, positions) in chosen.items()
        for kind in ("images", "labels")
    }


def first(labels: np.ndarray, begin: int, end: int) -> np.ndarray:
    """Positions of the begin-th to end-th image of every class."""
    per_class = [np.flatnonzero(labels == label)[begin:end] for label in range(CLASSES)]
    return np.sort(np.concatenate(per_class))


def container(arrays: dict[str, np.ndarray]) -> bytes:
    """An npz whose bytes depend on the arrays alone."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, array in arrays.items():
            part = io.BytesIO()
            np.save(part, array, allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, part.getvalue(), compresslevel=9)
    return whole.getvalue()


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
