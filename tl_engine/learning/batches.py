"""Batches of a split in a given order, for Keras: the only place that feeds a model."""

from __future__ import annotations

import keras
import numpy as np

from tl_engine.splits import Split


class Batches(keras.utils.PyDataset):
    """Native uint8 images (batch, height, width, 3) with labels (batch,)."""

    def __init__(self, split: Split, batch_size: int, order: np.ndarray | None = None) -> None:
        """
        Args:
            order: positions in the split, in the order of training; None means as it stands.
        """
        super().__init__()
        self._split = split
        self._batch_size = batch_size
        self._order = np.arange(len(split.labels)) if order is None else order

    def __len__(self) -> int:
        return -(-len(self._order) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        start = index * self._batch_size
        chosen = self._order[start : start + self._batch_size]
        return np.ascontiguousarray(self._split.images[chosen]), self._split.labels[chosen]


def epoch_order(images: int, seed: int) -> np.ndarray:
    """The order in which one epoch sees its images: a permutation that the seed alone decides."""
    return np.random.default_rng(seed).permutation(images)
