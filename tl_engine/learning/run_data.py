"""What a run is trained and measured on: its images, fetched through keras.datasets where need be.

Keras downloads, checks and parses, once; the arrays it gives are cached as .npy files beside its
own files, where every process, also one without Keras, maps them into memory.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import keras
import numpy as np

from tl_engine.analysis.work import TRAIN_SAMPLE, Sizes
from tl_engine.catalog.datasets import dataset
from tl_engine.data import registry, sources
from tl_engine.data.splits import Split, Splits, split
from tl_engine.errors import DataUnavailable
from tl_engine.machine import versions
from tl_engine.runs import Run
from tl_engine.storage import atomic
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import FlockLease

CACHED = {
    # Keras takes an archive only under the name of the folder it unpacks to, plus "_archive"
    "cifar10": {"cifar-10-python.tar.gz": "cifar-10-batches-py-target_archive"},
    "cifar100": {"cifar-100-python.tar.gz": "cifar-100-python-target_archive"},
    "mnist": {"mnist.npz": "mnist.npz"},
    "fashion-mnist": {file: f"fashion-mnist/{file}" for file in registry.IDX.values()},
}
"""Published files, and where Keras 3 looks for each below its folder `datasets`."""
LOADERS = {name: getattr(keras.datasets, name.replace("-", "_")).load_data for name in CACHED}


class RunData(NamedTuple):
    """A run's images in the environment of this process.

    Attributes:
        sample: the training images on which accuracy is measured after every epoch, always the
            same.
        sizes: numbers of images of all parts.
        environment: device, versions and the data's fingerprint: with recipe, seeds and threads
            all that a run's bits depend on.
    """

    splits: Splits
    sample: Split
    sizes: Sizes
    environment: dict[str, Any]


def load_run_data(run: Run, device: Mapping[str, Any], mismatch: str) -> RunData:
    """The images of a run, fetched where they are not on this machine yet.

    Args:
        device: of `prepare_device`.
        mismatch: the end of the sentence, "The images of ... are not those that ...".

    Raises:
        DataUnavailable: where they are not to be had, or the run was trained on others.
    """
    data = run.recipe.described_dataset
    prepare(data.name)
    images = sources.load(data.name)
    others = {met["fingerprint"] for met in run.environments} - {images.fingerprint}
    if others and run.epochs():
        raise DataUnavailable(f"The images of {data.title} are not those that {mismatch}")
    splits = split(images, run.recipe.train_images, run.seeds.data)
    train, count = splits.train, len(splits.train)
    chosen = np.sort(np.random.default_rng(0).permutation(count)[:TRAIN_SAMPLE])
    sample = Split(train.published, train.labels[chosen], train.indices[chosen], train.part)
    sizes = Sizes(count, len(sample), len(splits.validation), data.test)
    environment = {**device, "versions": versions(), "fingerprint": images.fingerprint}
    return RunData(splits, sample, sizes, environment)


def prepare(name: str) -> None:
    """Make sure that `sources.load(name)` finds its images; of several processes one fetches.

    Raises:
        DataUnavailable: where they cannot be fetched or stored, or what was fetched is damaged.
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
    title, datasets = dataset(name).title, registry.prepared_folder(name).parent
    files = {published: datasets / path for published, path in CACHED[name].items()}
    folder = next(iter(files.values())).parent
    # Keras removes what it could not fetch whole, so a file that is there is a damaged one
    if all(path.exists() for path in files.values()):
        names = ", ".join(path.name for path in files.values())
        return (
            f"The files of {title} are damaged ({error}): remove {names} from {folder} and they "
            "are fetched again."
        )
    wanted = ", ".join(
        published + (f" under the name {path.name}" if path.name != published else "")
        for published, path in files.items()
    )
    return (
        f"{title} is not on this machine and could not be fetched ({error}): without a network, "
        f"put the original {wanted} into {folder}, or choose Fashion-MNIST mini, which comes with "
        "Thaw."
    )
