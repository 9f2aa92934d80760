"""Ways to read the arrays of a dataset from files; each is a Source of the registry."""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

SHIPPED = Path(__file__).parent / "fashion-mini.npz"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
IDX = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}


class Source(Protocol):
    """Where the arrays of a dataset may lie: those of ARRAYS, and of a validation split where one
    is published."""

    def is_here(self) -> bool:
        """Whether the files are on this machine; opens none."""

    def read(self) -> dict[str, np.ndarray]:
        """The arrays by name. A damaged file raises whatever its reader raises."""

    @property
    def remedy(self) -> str:
        """What to do where reading fails."""


@dataclass(frozen=True)
class ShippedFile:
    """The npz file that comes with Thaw."""

    def is_here(self) -> bool:
        return SHIPPED.exists()

    def read(self) -> dict[str, np.ndarray]:
        with open(SHIPPED, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)

    @property
    def remedy(self) -> str:
        return f"restore {SHIPPED.name} from Thaw's repository"


@dataclass(frozen=True)
class DebianPackage:
    """The original files of Fashion-MNIST, as Debian's package installs them."""

    def is_here(self) -> bool:
        return all((DEBIAN / file).exists() for file in IDX.values())

    def read(self) -> dict[str, np.ndarray]:
        return {array: read_idx(DEBIAN / file) for array, file in IDX.items()}

    @property
    def remedy(self) -> str:
        return "reinstall Debian's package dataset-fashion-mnist"


@dataclass(frozen=True)
class ArrayFolder:
    """A folder of npy files, each mapped into memory where it is used. The last of ARRAYS is
    written last: while it is missing, the dataset is not here.

    Attributes:
        folder: where they lie; None for the place beside Keras' own cache.
        name: of the dataset.
    """

    name: str
    folder: Path | None = None

    @property
    def path(self) -> Path:
        return self.folder or prepared_folder(self.name)

    def is_here(self) -> bool:
        return all((self.path / f"{array}.npy").exists() for array in ARRAYS)

    def read(self) -> dict[str, np.ndarray]:
        # Not np.load, which would follow a damaged file's word that it is an archive or a pickle.
        return {
            file.stem: np.lib.format.open_memmap(file, mode="r") for file in self.path.glob("*.npy")
        }

    @property
    def remedy(self) -> str:
        again = "import them again" if self.folder else "they are fetched again"
        return f"remove {self.path} and {again}"


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
