"""Parts of a network that share its layers: below and above a boundary, twins, activations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

from tl_engine.learning.freezing import blocks_of, free_blocks, layers_with_blocks
from tl_engine.learning.model import through
from tl_engine.recipe import Phase, Recipe


def boundary(model: keras.Model, recipe: Recipe, phase: Phase) -> keras.KerasTensor | None:
    """The one tensor through which the frozen layers feed what the phase trains.

    Returns:
        A tensor of `model.body`, or the head's input where the whole body is frozen; None where
        nothing below is frozen, or more than one tensor crosses.
    """
    free = free_blocks(recipe, phase)
    if not free:
        return model.get_layer("head").input
    if len(free) == len(blocks_of(recipe)):
        return None
    trained = {
        id(layer) for layer, block in layers_with_blocks(model.body, recipe) if block in free
    }
    upper: set[int] = set()
    crossing: dict[int, keras.KerasTensor] = {}
    for node in _nodes(model.body):
        inputs, outputs = node.input_tensors, node.output_tensors
        if id(node.operation) in trained or any(id(tensor) in upper for tensor in inputs):
            crossing |= {id(tensor): tensor for tensor in inputs if id(tensor) not in upper}
            upper |= {id(tensor) for tensor in outputs}
    return next(iter(crossing.values())) if len(crossing) == 1 else None


def below(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From pixels to a boundary."""
    if tensor is model.get_layer("head").input:
        return keras.Model(model.inputs, tensor, name="below")
    part = keras.Model(model.body.inputs, tensor)
    return keras.Model(model.inputs, part(model.normalised), name="below")


def above(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From a boundary to probabilities."""
    # Stored as float32, which holds every value of a smaller type; the layers cast it back.
    features = keras.Input(tensor.shape[1:], dtype="float32", name="features")
    if tensor is model.get_layer("head").input:
        return keras.Model(features, model.get_layer("head")(features), name="above")
    part = keras.Model(tensor, model.body.outputs[0])
    return keras.Model(features, through(model.above_body, part(features)), name="above")


def twin(model: keras.Model) -> keras.Model:
    """The whole network again, to be compiled apart from the model."""
    return keras.Model(model.inputs, model.outputs, name="twin")


def activations(model: keras.Model, recipe: Recipe) -> tuple[keras.Model, list[tuple[str, int]]]:
    """From pixels to the output of each block, averaged over the image, and to the head's input,
    one after the other in a row.

    Returns:
        The model, and for each stretch of its rows the block's title and the width; the last but
        one is of the body's output, the last of the head's input. Blocks that feed those above
        through more than one tensor have none.
    """
    titles = [block.title for block in blocks_of(recipe)]
    ends = [boundary(model, recipe, Phase(n, 1, 1e-3)) for n in range(len(titles) - 1, 0, -1)]
    single = [(title, end) for title, end in zip(titles, ends, strict=False) if end is not None]
    tensors = [*(tensor for _, tensor in single), model.body.outputs[0]]
    part = keras.Model(model.body.inputs, tensors, name="inside_body")
    outputs = keras.tree.flatten(part(model.normalised))
    pool = keras.layers.GlobalAveragePooling2D
    rows = [
        pool(dtype="float32", name=f"inside_{number}")(tensor) if len(tensor.shape) == 4 else tensor
        for number, tensor in enumerate(outputs)
    ]
    rows.append(through(model.above_body[:-1], outputs[-1]))
    joined = keras.layers.Concatenate(dtype="float32", name="inside_all")(rows)
    named = [*(title for title, _ in single), titles[-1], "head input"]
    widths = [(title, int(row.shape[-1])) for title, row in zip(named, rows, strict=True)]
    return keras.Model(model.inputs, joined, name="inside"), widths


def _nodes(body: keras.Model) -> Iterator[Any]:
    """The body's own operations with their tensors, each after those it depends on.

    Keras shows operations only; layers that stand in several models have nodes of all of them.
    """
    for depth in sorted(body._nodes_by_depth, reverse=True):
        yield from body._nodes_by_depth[depth]
