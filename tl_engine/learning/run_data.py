"""What a run is trained and measured on: its images, divided, and the machine that reads them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tl_engine.analysis.work import TRAIN_SAMPLE, Sizes
from tl_engine.data import sources
from tl_engine.data.splits import Split, Splits, split
from tl_engine.errors import DataUnavailable
from tl_engine.learning.downloads import prepare
from tl_engine.machine import versions
from tl_engine.runs import Run


@dataclass(frozen=True)
class RunData:
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
    sample = _sample(splits.train)
    sizes = Sizes(len(splits.train), len(sample), len(splits.validation), data.test)
    environment = {**device, "versions": versions(), "fingerprint": images.fingerprint}
    return RunData(splits, sample, sizes, environment)


def _sample(part: Split) -> Split:
    chosen = np.sort(np.random.default_rng(0).permutation(len(part))[:TRAIN_SAMPLE])
    return Split(part.published, part.labels[chosen], part.indices[chosen], part.part)
