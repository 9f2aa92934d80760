"""Reading what a network says inside, for weights that it wears for a moment."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from tl_engine.learning import model as networks
from tl_engine.learning.network import Network
from tl_engine.probe import Probe
from tl_engine.recipe import Recipe

Arrays = dict[str, np.ndarray]
"""All variables of a network, by index."""


class Features(NamedTuple):
    """What a network says of n images, float32.

    Attributes:
        blocks: (n, channels) for each block's title, averaged over the image; the last is what
            leaves the body.
        head_input: (n, inputs).
    """

    blocks: dict[str, np.ndarray]
    head_input: np.ndarray

    @property
    def body(self) -> np.ndarray:
        """What leaves the body, (n, channels)."""
        return next(reversed(self.blocks.values()))

    def of(self, positions: np.ndarray | slice) -> Features:
        """The same of some of the images."""
        blocks = {title: rows[positions] for title, rows in self.blocks.items()}
        return Features(blocks, self.head_input[positions])


class Inside:
    """Reads the probe's features; images that the same body has read already are not read again."""

    def __init__(
        self, network: Network, recipe: Recipe, probe: Probe, beat: Callable[[int], None]
    ) -> None:
        """
        Args:
            beat: called after every batch; may raise.
        """
        self._model, self._probe, self._beat = network.model, probe, beat
        self._reader, self._widths = network.inside(recipe)
        self.blocks = networks.keys_by_block(self._model, recipe)
        self.head = networks.keys_of(self._model, self._model.get_layer("head").weights)
        self._seen: list[tuple[Arrays, Features]] = []

    def features(self, weights: Arrays) -> Features:
        """Of all the probe's images: the clean ones, then the corrupted ones."""
        for known, features in self._seen:
            if self.same_body(known, weights):
                return features
        features = self._read(weights, np.arange(len(self._probe)))
        self._seen = [*self._seen[:1], (weights, features)]  # the first is of the run's start
        return features

    def clean_features(self, weights: Arrays) -> Features:
        """Of the clean images alone, and not to be remembered."""
        for known, features in self._seen:
            if self.same_body(known, weights):
                return features.of(self._probe.clean)
        return self._read(weights, self._probe.clean)

    def same_body(self, one: Arrays, other: Arrays) -> bool:
        """Whether all variables below the head are the same, to the last bit."""
        keys = (key for block in self.blocks.values() for part in block for key in part)
        return all(np.array_equal(one[key], other[key]) for key in keys)

    def probabilities(self, features: Features, weights: Arrays) -> np.ndarray:
        """What the head says of features, (n, classes) float64."""
        kernel, bias = (weights[key].astype(np.float64) for key in self.head)
        logits = features.head_input @ kernel + bias
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    def _read(self, weights: Arrays, positions: np.ndarray) -> Features:
        with self._wearing(weights):
            rows = self._reader.read(self._probe, self._beat, positions)
        ends = np.cumsum([width for _, width in self._widths])[:-1]
        parts = np.split(rows, ends, axis=1)
        titles = [title for title, _ in self._widths]
        return Features(dict(zip(titles[:-1], parts[:-1], strict=True)), parts[-1])

    @contextmanager
    def _wearing(self, weights: Arrays) -> Iterator[None]:
        own = networks.copies_of(self._model.variables)
        networks.assign(self._model.variables, weights)
        try:
            yield
        finally:
            networks.assign(self._model.variables, own)
