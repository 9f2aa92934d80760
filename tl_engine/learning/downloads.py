"""Fetch a dataset through keras.datasets, once, and prepare it for everyone.

Keras downloads, checks and parses; the arrays it gives are kept as .npy files beside its cache,
where every process, also one without Keras, maps them into memory.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import keras
import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.data import registry, sources
from tl_engine.errors import DataUnavailable
from tl_engine.storage import atomic
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import FlockLease

LOADERS = {
    "cifar10": keras.datasets.cifar10.load_data,
    "cifar100": keras.datasets.cifar100.load_data,
    "mnist": keras.datasets.mnist.load_data,
    "fashion-mnist": keras.datasets.fashion_mnist.load_data,
}


class Cached(NamedTuple):
    """A published file, and where Keras 3 looks for it below its folder `datasets`."""

    published: str
    folder: str
    name: str


CACHED = {
    # Keras takes an archive only under the name of the folder it unpacks to, plus "_archive"
    "cifar10": [Cached("cifar-10-python.tar.gz", "", "cifar-10-batches-py-target_archive")],
    "cifar100": [Cached("cifar-100-python.tar.gz", "", "cifar-100-python-target_archive")],
    "mnist": [Cached("mnist.npz", "", "mnist.npz")],
    "fashion-mnist": [Cached(file, "fashion-mnist", file) for file in registry.IDX.values()],
}


def prepare(name: str) -> None:
    """Make sure that `sources.load(name)` finds its images; of several processes one fetches.

    Raises:
        DataUnavailable: where they cannot be fetched or kept, or what was fetched is damaged.
    """
    if sources.available(name):
        return
    folder = registry.prepared_folder(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with hold(FlockLease(folder / ".lock"), wait=True):
            if not sources.available(name):
                for array, values in _fetch(name).items():
                    save = partial(np.save, arr=values, allow_pickle=False)
                    atomic.write(folder / f"{array}.npy", save)
    except OSError as error:
        raise DataUnavailable(
            f"{dataset(name).title} cannot be kept in {folder} ({error}): make room there, or "
            "set KERAS_HOME to a folder that can be written."
        ) from error


def _fetch(name: str) -> dict[str, np.ndarray]:
    try:
        (train_images, train_labels), (test_images, test_labels) = LOADERS[name]()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise DataUnavailable(_sentence(name, error)) from error
    arrays = (train_images, train_labels.reshape(-1), test_images, test_labels.reshape(-1))
    return dict(zip(registry.ARRAYS, arrays, strict=True))


def _sentence(name: str, error: Exception) -> str:
    title, files = dataset(name).title, CACHED[name]
    folder = registry.prepared_folder(name).parent / files[0].folder
    # Keras removes what it could not fetch whole, so a file that is there is a damaged one
    if all((folder / file.name).exists() for file in files):
        names = ", ".join(file.name for file in files)
        return (
            f"The files of {title} are damaged ({error}): remove {names} from {folder} and they "
            "are fetched again."
        )
    wanted = ", ".join(
        file.published + (f" under the name {file.name}" if file.name != file.published else "")
        for file in files
    )
    return (
        f"{title} is not on this machine and could not be fetched ({error}): without a network, "
        f"put the original {wanted} into {folder}, or choose Fashion-MNIST mini, which comes with "
        "Thaw."
    )
