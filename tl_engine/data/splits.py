"""Train, validation and test: who is in which, decided by a seed and nothing else.

The test split is the published one and never influences the others. Subsets nest: with one seed,
the first 500 training images are among the first 1,000.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tl_engine.catalog.datasets import CARVED
from tl_engine.data.sources import Images, LabelledImages


@dataclass(frozen=True)
class Split:
    """Images of one split, read where and when they are taken: the whole of a large dataset
    need not fit into memory.

    Attributes:
        published: uint8 (N, height, width, 3), the array that the split was taken from; may be
            mapped from a file.
        labels: int64 (n,).
        indices: int64 (n,), ascending positions in the published array that the split was taken
            from: train's for train and for a carved validation, each one's own otherwise.
        part: the name of that array: "train", "validation" or "test".
    """

    published: np.ndarray
    labels: np.ndarray
    indices: np.ndarray
    part: str = "train"

    @classmethod
    def whole(cls, images: LabelledImages, part: str) -> Split:
        """All images of a published array."""
        return cls(images.images, images.labels, np.arange(len(images)), part)

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The images at these positions, (m, height, width, 3) uint8, in memory."""
        return np.ascontiguousarray(self.published[self.indices[positions]])

    @property
    def images(self) -> np.ndarray:
        """All its images, (n, height, width, 3) uint8, in memory."""
        return self.take(np.arange(len(self)))


@dataclass(frozen=True)
class Splits:
    """The three splits of a run."""

    train: Split
    validation: Split
    test: Split


def split(images: Images, train_images: int | None, seed: int) -> Splits:
    """Divide a dataset.

    Where no validation split is published, 10 % of train become one. Then `train_images` of the
    rest are the training images; None means all. Both hold every class in proportion.

    Raises:
        ValueError: for fewer than one training image or more than there are.
    """
    random = np.random.default_rng(seed)
    rest = np.arange(len(images.train))
    if images.validation is None:
        carved = stratified(images.train.labels, round(len(rest) * CARVED), random)
        rest = np.delete(rest, carved)
        validation = Split(images.train.images, images.train.labels[carved], carved)
    else:
        validation = Split.whole(images.validation, "validation")
    wanted = len(rest) if train_images is None else train_images
    if not 1 <= wanted <= len(rest):
        raise ValueError(f"Training images are 1 to {len(rest):,}, got {wanted:,}.")
    chosen = rest[stratified(images.train.labels[rest], wanted, random)]
    train = Split(images.train.images, images.train.labels[chosen], chosen)
    return Splits(train, validation, Split.whole(images.test, "test"))


def published_validation(images: Images) -> LabelledImages:
    """The published array into which the indices of a validation split point."""
    return images.train if images.validation is None else images.validation


def stratified(labels: np.ndarray, count: int, random: np.random.Generator) -> np.ndarray:
    """Ascending positions of `count` images, drawn at random within each class.

    From generators in the same state, a larger draw holds every smaller one.
    """
    # the order of classes decides which of two equal ones is rounded up
    classes = random.permutation(np.unique(labels))
    members = [random.permutation(np.flatnonzero(labels == label)) for label in classes]
    counts = shares(np.array([len(some) for some in members]), count)
    drawn = [some[:share] for some, share in zip(members, counts, strict=True)]
    return np.sort(np.concatenate(drawn))


def shares(sizes: np.ndarray, count: int) -> np.ndarray:
    """How many of each class make up `count` images.

    In proportion to the class sizes, rounded up or down, and never fewer for a larger count: the
    quota method of apportionment (Balinski and Young, 1975). Largest remainders would not nest.
    """
    sizes = sizes // np.gcd.reduce(sizes)
    total = sizes.sum()
    rounds, places = divmod(count, total)  # whole rounds share out evenly, then all begins anew
    taken = np.zeros_like(sizes)
    for place in range(1, places + 1):
        below_its_share = taken * total < place * sizes
        taken[np.argmax(np.where(below_its_share, sizes / (taken + 1), 0))] += 1
    return rounds * sizes + taken
