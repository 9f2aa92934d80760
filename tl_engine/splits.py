"""Train, validation and test: who is in which, decided by a seed and nothing else.

The test split is the published one and never influences the others. Subsets nest: with one seed,
the first 500 training images are among the first 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_engine.catalog.datasets import CARVED
from tl_engine.data import Images, LabelledImages


@dataclass(frozen=True)
class Split:
    """Images of one split.

    Attributes:
        images: uint8 (n, height, width, 3).
        labels: int64 (n,).
        indices: int64 (n,), positions in the published array that the split was taken from.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Splits:
    """The three splits of a run."""

    train: Split
    validation: Split
    test: Split


def split(images: Images, train_images: int | None, seed: int) -> Splits:
    """Divide a dataset.

    Where no validation split is published, 10 % of train become one, evenly per class. Then
    `train_images` of the rest, evenly per class, are the training images; None means all.

    Raises:
        ValueError: for more training images than there are.
    """
    order = stratified_order(images.train.labels, np.random.default_rng(seed))
    if images.validation is None:
        carved = round(len(order) * CARVED)
        validation = _take(images.train, np.sort(order[:carved]))
        order = order[carved:]
    else:
        validation = _take(images.validation, np.arange(len(images.validation)))
    wanted = len(order) if train_images is None else train_images
    if wanted > len(order):
        raise ValueError(f"There are {len(order):,} training images, got {wanted:,}.")
    train = _take(images.train, np.sort(order[:wanted]))
    return Splits(train, validation, _take(images.test, np.arange(len(images.test))))


def stratified_order(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A shuffled order of positions of which every beginning holds its classes evenly.

    Within each class the order is random; an image that is the k-th of m in its class sorts at
    (k + u) / m with u random in [0, 1), so that classes interleave in proportion.
    """
    shuffled = random.permutation(len(labels))
    place = np.empty(len(labels))
    offset = random.random()
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        place[members] = (np.arange(len(members)) + offset) / len(members)
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def _take(images: LabelledImages, indices: np.ndarray) -> Split:
    if len(indices) == len(images):
        return Split(images.images, images.labels, indices)
    return Split(images.images[indices], images.labels[indices], indices)
