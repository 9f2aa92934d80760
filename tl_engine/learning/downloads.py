"""Fetch a dataset through keras.datasets, once, and prepare it for everyone.

Keras downloads, checks and parses; the arrays it gives are kept as .npy files beside its cache,
where every process, also one without Keras, maps them into memory.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import keras
import numpy as np

from tl_engine import data
from tl_engine.catalog.datasets import dataset
from tl_engine.errors import DataUnavailable

LOADERS = {
    "cifar10": keras.datasets.cifar10.load_data,
    "cifar100": keras.datasets.cifar100.load_data,
    "mnist": keras.datasets.mnist.load_data,
    "fashion-mnist": keras.datasets.fashion_mnist.load_data,
}
FILES = {
    # name: where Keras looks for the file in its folder, and what the file is called elsewhere
    "cifar10": ("datasets/cifar-10-batches-py-target_archive", "cifar-10-python.tar.gz"),
    "cifar100": ("datasets/cifar-100-python-target_archive", "cifar-100-python.tar.gz"),
    "mnist": ("datasets/mnist.npz", "mnist.npz"),
    "fashion-mnist": ("datasets/fashion-mnist/", "its four .gz files"),
}


def prepare(name: str) -> None:
    """Make sure that `data.load(name)` finds its images.

    Raises:
        DataUnavailable: where they cannot be fetched, or what was fetched is damaged.
    """
    if data.available(name):
        return
    try:
        (train_images, train_labels), (test_images, test_labels) = LOADERS[name]()
    except Exception as error:  # Keras raises a bare Exception where a download fails
        raise DataUnavailable(_sentence(name, error)) from error
    arrays = (train_images, train_labels.reshape(-1), test_images, test_labels.reshape(-1))
    _keep(data.prepared_folder(name), dict(zip(data.ARRAYS, arrays, strict=True)))


def _keep(folder: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays aside, then rename: two processes may do it at once."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    for name, array in arrays.items():
        np.save(aside / f"{name}.npy", array, allow_pickle=False)
    (aside / "complete").touch()
    try:
        os.rename(aside, folder)
    except OSError:  # the other process was first
        shutil.rmtree(aside)


def _sentence(name: str, error: Exception) -> str:
    title = dataset(name).title
    place, file = FILES[name]
    path = Path(keras.config.keras_home()) / place
    if "URL fetch failure" in str(error):
        return (
            f"{title} is not on this machine and could not be fetched: without a network, put "
            f"{file} at {path}, or choose Fashion-MNIST mini, which comes with Thaw."
        )
    return (
        f"{title} was fetched but cannot be read ({type(error).__name__}): remove {path} and try "
        "again."
    )
