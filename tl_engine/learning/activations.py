"""What the blocks of a network output on a few images, for weights that are swapped in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import keras
import numpy as np
from scipy.special import softmax

from tl_engine.data.corruptions import Probe
from tl_engine.learning.batches import InferenceGraph
from tl_engine.learning.freezing import blocks_of
from tl_engine.learning.model import boundary, through
from tl_engine.learning.variables import Weights, copies_of, head_keys, keys_by_block
from tl_engine.recipe import Phase, Recipe


class Activations(NamedTuple):
    """What a network outputs on n images, float32.

    Attributes:
        blocks: (n, channels) for each block's title, averaged over the image; the last is the
            body's output.
        head_input: (n, inputs).
    """

    blocks: dict[str, np.ndarray]
    head_input: np.ndarray

    @property
    def body(self) -> np.ndarray:
        """The body's output, (n, channels)."""
        return next(reversed(self.blocks.values()))

    def of(self, positions: np.ndarray | slice) -> "Activations":
        """Those of some of the images."""
        blocks = {title: rows[positions] for title, rows in self.blocks.items()}
        return Activations(blocks, self.head_input[positions])


class ActivationReader:
    """Reads activations on the diagnostic images; those of the same body are computed once."""

    def __init__(self, model: keras.Model, recipe: Recipe) -> None:
        self._model = model
        submodel, self._widths = model_inside(model, recipe)
        self._graph = InferenceGraph(submodel)
        self.blocks = keys_by_block(model, recipe)
        self.head = head_keys(model)
        self._cached: list[tuple[Weights, Activations]] = []
        self._swapped_in: dict[str, np.ndarray] = {}
        self._images: Probe
        self._on_images: Callable[[int], None]

    def look_at(self, probe: Probe, first: Weights, on_images: Callable[[int], None]) -> None:
        """Read these images from now on; before all else. The activations of `first`, the weights
        with which the run began, stay in memory; `on_images` is called after each batch."""
        self._cached = [
            (weights, rows)
            for weights, rows in self._cached[:1]
            if self._images == probe and self.same_body(weights, first)
        ]
        self._images, self._on_images = probe, on_images
        self.activations(first)

    def activations(self, weights: Weights) -> Activations:
        """On all the images: the clean ones, then the corrupted ones."""
        for place, (cached, activations) in enumerate(self._cached):
            if self.same_body(cached, weights):
                self._cached[place] = weights, activations  # the next comparison costs nothing
                return activations
        self._cached[1:] = [(weights, self._read(weights))]
        return self._cached[-1][1]

    def clean_activations(self, weights: Weights) -> Activations:
        """On the clean images alone; not cached."""
        clean = self._images.clean
        for cached, activations in self._cached:
            if self.same_body(cached, weights):
                return activations.of(clean)
        activations = self._read(weights, clean)
        self._swapped_in.clear()  # they may be as large as the network, and are not used again
        return activations

    def same_body(self, first: Weights, second: Weights) -> bool:
        """Whether all variables below the head are equal."""
        keys = (key for block in self.blocks.values() for part in block for key in part)
        pairs = ((first[key], second[key]) for key in keys)
        return all(a is b or np.array_equal(a, b) for a, b in pairs)

    def probabilities(self, activations: Activations, weights: Weights) -> np.ndarray:
        """The head's output, (n, classes) float64."""
        kernel, bias = (weights[key].astype(np.float64) for key in self.head)
        return softmax(activations.head_input @ kernel + bias, axis=1)

    @contextmanager
    def restoring(self, *same: Weights) -> Iterator[Weights]:
        """Read inside this: whatever weights are swapped in meanwhile, the network has its own
        again after it. Gives these, with the arrays of `same` where they are the same."""
        own = copies_of(self._model.variables, *same)
        self._swapped_in = dict(own)
        try:
            yield own
        finally:
            self._swap_in(own)
            self._swapped_in.clear()

    def _read(self, weights: Weights, positions: np.ndarray | None = None) -> Activations:
        self._swap_in(weights)
        rows = self._graph.predict(self._images, self._on_images, positions)
        ends = np.cumsum(list(self._widths.values()))[:-1]
        *blocks, head_input = np.split(rows, ends, axis=1)
        return Activations(dict(zip(self._widths, blocks, strict=False)), head_input)

    def _swap_in(self, weights: Weights) -> None:
        """Assign what differs from what the network has now; assigning all of a large network's
        weights takes longer than a few images."""
        for variable, key in zip(self._model.variables, sorted(weights), strict=True):
            array = weights[key]
            if self._swapped_in.get(key) is not array:
                variable.assign(array)
                self._swapped_in[key] = array


def model_inside(model: keras.Model, recipe: Recipe) -> tuple[keras.Model, dict[str, int]]:
    """From pixels to the output of each block, averaged over the image, and to the head's input,
    one after the other in a row; and the width of each stretch of it, by the block's title. Blocks
    that feed those above through more than one tensor have none; the last is the body's output.
    """
    titles = [block.title for block in blocks_of(recipe)]
    ends = [boundary(model, recipe, Phase(n, 1, 1e-3)) for n in range(len(titles) - 1, 0, -1)]
    ends.append(model.body.outputs[0])
    tensors = {t: end for t, end in zip(titles, ends, strict=True) if end is not None}
    part = keras.Model(model.body.inputs, list(tensors.values()), name="inside_body")
    outputs = keras.tree.flatten(part(model.normalised))
    pool = keras.layers.GlobalAveragePooling2D
    rows = [
        pool(dtype="float32", name=f"inside_{number}")(tensor) if len(tensor.shape) == 4 else tensor
        for number, tensor in enumerate(outputs)
    ]
    rows.append(through(model.above_body[:-1], outputs[-1]))
    joined = keras.layers.Concatenate(dtype="float32", name="inside_all")(rows)
    named = zip([*tensors, "head input"], rows, strict=True)
    widths = {title: int(row.shape[-1]) for title, row in named}
    return keras.Model(model.inputs, joined, name="inside"), widths
