"""A recipe's network: native uint8 pixels in, class probabilities out.

Resizing, augmentation and the backbone's normalisation are layers of the model, so that training,
prediction and export cannot drift apart. Only built-in Keras layers and operations are used: a
saved model.keras loads in plain Keras.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import keras
import numpy as np

from tl_engine.catalog.backbones import Backbone, Block, backbone
from tl_engine.catalog.datasets import dataset
from tl_engine.learning.architectures import build_backbone
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

AS_SEEN = "as_seen"
"""Name of the layer whose output is the picture as the network sees it, pixels 0..255."""
MOMENTUM = 0.9


def build_model(recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> keras.Model:
    """The recipe's network, not yet compiled.

    Args:
        weights: load the published weights if the recipe is pretrained; off when variables are
            assigned from a checkpoint right after.

    Returns:
        A model from uint8 (batch, height, width, 3) at the dataset's native size to float32
        probabilities (batch, classes).

    Raises:
        WeightsUnavailable: where pretrained weights are neither here nor to be fetched.
    """
    with _policy(recipe):
        return _build(recipe, seeds, weights)


def _build(recipe: Recipe, seeds: Seeds, weights: bool) -> keras.Model:
    data, described = dataset(recipe.dataset), backbone(recipe.backbone)
    pixels = keras.Input((data.height, data.width, 3), dtype="uint8", name="pixels")
    size = recipe.image_size
    x = keras.layers.Resizing(size, size, dtype="float32", name=AS_SEEN)(pixels)
    if recipe.augmentation:
        x = _augment(x, seeds.order)
    normalised = _normalise(x, described)
    body = build_backbone(
        recipe.backbone, size, recipe.uses_top, recipe.pretrained and weights, seeds.head
    )
    head = keras.layers.Dense(
        data.classes,
        activation="softmax",
        kernel_initializer=_head_kernel(seeds),
        dtype="float32",
        name="head",
    )
    layers = [*_pooling(recipe.head_input), head]
    model = keras.Model(pixels, _through(layers, body(normalised)), name="thaw")
    model.body, model.normalised, model.above_body = body, normalised, layers
    for layer in _dropouts(body):
        layer.published_rate = layer.rate
    return model


def set_phase(
    model: keras.Model, recipe: Recipe, phase: Phase, trained: keras.Model | None = None
) -> None:
    """Free what the phase trains, freeze the rest, then compile; the only place that does.

    Args:
        trained: what is compiled, where it is not the whole network: its upper part, or a twin of
            the same layers. One that was compiled for such a phase already is not compiled
            again: it keeps its traced graph, and its optimizer begins anew.

    Frozen means constant: no gradient, BatchNormalization in inference mode, no dropout. With
    the policy "as pretrained" every BatchNormalization layer is frozen in every phase. Changing
    `trainable` takes effect only when the model is compiled, and freeing a parent resets its
    children, so layers are set one by one, each time.
    """
    free = _free_blocks(recipe, phase)
    for layer, block in _layers_with_blocks(model.body, recipe):
        is_batchnorm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = block in free and not (is_batchnorm and recipe.batchnorm != "adapt")
        if hasattr(layer, "published_rate"):
            layer.rate = layer.published_rate if block in free else 0.0
    trained = model if trained is None else trained
    if trained is not model and trained.compiled:
        for variable, value in zip(trained.optimizer.variables, trained.as_new, strict=True):
            variable.assign(value)
        trained.optimizer.learning_rate = phase.learning_rate
        return
    trained.compile(
        optimizer=_optimizer(recipe, phase),
        loss=keras.losses.SparseCategoricalCrossentropy(),
        # Keras would refuse XLA where operations are deterministic; the learner compiles the step.
        jit_compile=False,
    )
    # Variables that appear while a graph is traced make TensorFlow trace it a second time.
    trained.optimizer.build(trained.trainable_variables)
    trained.as_new = [_kept(np.asarray(variable)) for variable in trained.optimizer.variables]


def _kept(array: np.ndarray) -> np.ndarray:
    """A copy; of zeros, as which moments begin, one that takes no memory: twice the network's."""
    return array.copy() if array.any() else np.broadcast_to(array.dtype.type(0), array.shape)


def boundary(model: keras.Model, recipe: Recipe, phase: Phase) -> keras.KerasTensor | None:
    """The one tensor through which everything frozen below speaks to what the phase trains.

    Returns:
        A tensor of `model.body`, or the head's input where the whole body is frozen; None where
        nothing below is frozen, or more than one tensor crosses.
    """
    free = _free_blocks(recipe, phase)
    if not free:
        return model.get_layer("head").input
    if len(free) == len(_blocks(recipe)):
        return None
    trained = {
        id(layer) for layer, block in _layers_with_blocks(model.body, recipe) if block in free
    }
    above: set[int] = set()
    crossing: dict[int, keras.KerasTensor] = {}
    for node in _nodes(model.body):
        inputs, outputs = node.input_tensors, node.output_tensors
        if id(node.operation) in trained or any(id(tensor) in above for tensor in inputs):
            crossing |= {id(tensor): tensor for tensor in inputs if id(tensor) not in above}
            above |= {id(tensor) for tensor in outputs}
    return next(iter(crossing.values())) if len(crossing) == 1 else None


def below(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From pixels to a boundary: the same layers."""
    if tensor is model.get_layer("head").input:
        return keras.Model(model.inputs, tensor, name="below")
    part = keras.Model(model.body.inputs, tensor)
    return keras.Model(model.inputs, part(model.normalised), name="below")


def above(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From a boundary to probabilities: the same layers."""
    # Kept as float32, which holds every value of a smaller type; the layers cast it back.
    features = keras.Input(tensor.shape[1:], dtype="float32", name="features")
    if tensor is model.get_layer("head").input:
        return keras.Model(features, model.get_layer("head")(features), name="above")
    part = keras.Model(tensor, model.body.outputs[0])
    return keras.Model(features, _through(model.above_body, part(features)), name="above")


def inside(model: keras.Model, recipe: Recipe) -> tuple[keras.Model, list[tuple[str, int]]]:
    """From pixels to what leaves each block, averaged over the image, and to the head's input,
    one after the other in a row: the same layers.

    Returns:
        The model, and for each stretch of its rows the block's title and the width; the last but
        one is of the body's output, the last of the head's input. Blocks that speak to those
        above through more than one tensor have none.
    """
    titles = [block.title for block in _blocks(recipe)]
    ends = [boundary(model, recipe, Phase(n, 1, 1e-3)) for n in range(len(titles) - 1, 0, -1)]
    known = [(title, end) for title, end in zip(titles, ends, strict=False) if end is not None]
    tensors = [*(tensor for _, tensor in known), model.body.outputs[0]]
    part = keras.Model(model.body.inputs, tensors, name="inside_body")
    leaving = keras.tree.flatten(part(model.normalised))
    pool = keras.layers.GlobalAveragePooling2D
    rows = [
        pool(dtype="float32", name=f"inside_{number}")(tensor) if len(tensor.shape) == 4 else tensor
        for number, tensor in enumerate(leaving)
    ]
    rows.append(_through(model.above_body[:-1], leaving[-1]))
    joined = keras.layers.Concatenate(dtype="float32", name="inside_all")(rows)
    named = [*(title for title, _ in known), titles[-1], "head input"]
    widths = [(title, int(row.shape[-1])) for title, row in zip(named, rows, strict=True)]
    return keras.Model(model.inputs, joined, name="inside"), widths


def twin(model: keras.Model) -> keras.Model:
    """The same layers, to be compiled, or read, apart from the model."""
    return keras.Model(model.inputs, model.outputs, name="twin")


def head_as_new(model: keras.Model, seeds: Seeds) -> dict[str, np.ndarray]:
    """The values of the head that building the network with these seeds would give, by index among
    its variables."""
    kernel, bias = keys_of(model, model.get_layer("head").weights)
    shapes = [variable.shape for variable in model.get_layer("head").weights]
    drawn = np.asarray(_head_kernel(seeds)(shapes[0]))
    return {kernel: drawn, bias: np.zeros(shapes[1], np.float32)}


class BlockKeys(NamedTuple):
    """Where a block's variables are: indices among those of the network.

    Attributes:
        weights: those that training can change, the moving statistics excepted.
        means, variances: of its BatchNormalization layers.
    """

    weights: list[str]
    means: list[str]
    variances: list[str]


def keys_by_block(model: keras.Model, recipe: Recipe) -> dict[str, BlockKeys]:
    """For each block's title, bottom-up, where its variables are."""
    found = {block.title: BlockKeys([], [], []) for block in _blocks(recipe)}
    for layer, title in _layers_with_blocks(model.body, recipe):
        statistics: list[keras.Variable] = []
        if isinstance(layer, keras.layers.BatchNormalization):
            statistics = [layer.moving_mean, layer.moving_variance]
            found[title].means.extend(keys_of(model, statistics[:1]))
            found[title].variances.extend(keys_of(model, statistics[1:]))
        apart = {id(variable) for variable in statistics}
        weights = [variable for variable in layer.weights if id(variable) not in apart]
        found[title].weights.extend(keys_of(model, weights))
    return found


def keys_of(model: keras.Model, variables: Sequence[keras.Variable]) -> list[str]:
    """Indices of variables among those of the network, as `arrays_of` writes them."""
    places = {id(variable): f"{place:04d}" for place, variable in enumerate(model.variables)}
    return [places[id(variable)] for variable in variables]


def restore_published_dropout(model: keras.Model) -> None:
    """Give dropout its published rates back, so that an exported model trains as expected."""
    for layer in _dropouts(model.body):
        layer.rate = layer.published_rate


def reseed(model: keras.Model, seed: int) -> None:
    """Start every random layer afresh; with a seed per epoch no state is carried between them."""
    for index, variable in enumerate(_seed_states(model)):
        words = np.random.SeedSequence([seed, index]).generate_state(2)
        variable.assign(words.astype(variable.dtype))


def arrays_of(
    variables: list[keras.Variable], chosen: set[int] | None = None
) -> dict[str, np.ndarray]:
    """Variables by index, for a checkpoint: a look at their memory, which training goes on to
    change.

    Args:
        chosen: `id`s of those that are wanted; None means all.
    """
    return {
        f"{index:04d}": np.asarray(variable)
        for index, variable in enumerate(variables)
        if chosen is None or id(variable) in chosen
    }


def copies_of(variables: list[keras.Variable]) -> dict[str, np.ndarray]:
    """Variables by index, as they are now."""
    return {index: array.copy() for index, array in arrays_of(variables).items()}


def assign(variables: list[keras.Variable], arrays: dict[str, np.ndarray]) -> None:
    """Put a checkpoint's arrays back.

    Raises:
        ValueError: where number, shape or type differ.
    """
    if len(variables) != len(arrays):
        raise ValueError(f"The network has {len(variables)} variables, got {len(arrays)} arrays.")
    for variable, (index, array) in zip(variables, sorted(arrays.items()), strict=True):
        if tuple(variable.shape) != array.shape or variable.dtype != array.dtype.name:
            raise ValueError(
                f"Variable {index} {variable.path} is {variable.dtype} {tuple(variable.shape)}, "
                f"got {array.dtype} {array.shape}."
            )
        variable.assign(array)


def may_change(model: keras.Model, *, with_seeds: bool = False) -> set[int]:
    """`id`s of the variables that the phase set last may change: trainable ones and the
    statistics of free BatchNormalization layers; if wanted, the states of random layers too."""
    allowed = {id(variable) for variable in model.trainable_variables}
    for layer in model.body.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            allowed |= {id(variable) for variable in layer.non_trainable_variables}
    return allowed | ({id(variable) for variable in _seed_states(model)} if with_seeds else set())


def parameters(model: keras.Model) -> list[keras.Variable]:
    """All variables but the states of random layers."""
    seeds = {id(variable) for variable in _seed_states(model)}
    return [variable for variable in model.variables if id(variable) not in seeds]


def _augment(x: keras.KerasTensor, seed: int) -> keras.KerasTensor:
    x = keras.layers.RandomFlip("horizontal", seed=seed, name="flip")(x)
    return keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed, name="shift")(x)


def _normalise(x: keras.KerasTensor, described: Backbone) -> keras.KerasTensor:
    if described.bgr:
        x = keras.ops.flip(x, axis=-1)
    return keras.layers.Rescaling(list(described.scale), list(described.offset), name="normalise")(
        x
    )


def _pooling(head_input: str) -> list[keras.layers.Layer]:
    """The layers between the body and the head."""
    made = {
        "pooled-avg": keras.layers.GlobalAveragePooling2D,
        "pooled-max": keras.layers.GlobalMaxPooling2D,
        "softmax": keras.layers.Softmax,
    }
    if head_input == "logits":
        return []
    return [made[head_input](name="softmax" if head_input == "softmax" else "pool")]


def _through(layers: list[keras.layers.Layer], x: keras.KerasTensor) -> keras.KerasTensor:
    for layer in layers:
        x = layer(x)
    return x


def _head_kernel(seeds: Seeds) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seeds.head)


def _nodes(body: keras.Model) -> Iterator[Any]:
    """The body's own operations with their tensors, each after those it depends on.

    Keras shows operations only; layers that stand in several models have nodes of all of them.
    """
    for depth in sorted(body._nodes_by_depth, reverse=True):
        yield from body._nodes_by_depth[depth]


@contextmanager
def _policy(recipe: Recipe) -> Iterator[None]:
    """Layers that are made inside compute in the recipe's precision."""
    kept = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision.replace(" ", "_"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(kept)


def _optimizer(recipe: Recipe, phase: Phase) -> keras.optimizers.Optimizer:
    kinds = {
        "adam": keras.optimizers.Adam,
        "adamw": keras.optimizers.AdamW,
        "rmsprop": keras.optimizers.RMSprop,
        "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=MOMENTUM),
    }
    made = kinds[phase.optimizer](phase.learning_rate)
    # Half precision cannot hold small gradients, unless the loss is scaled up.
    return keras.optimizers.LossScaleOptimizer(made) if recipe.precision != "float32" else made


def _blocks(recipe: Recipe) -> tuple[Block, ...]:
    described = backbone(recipe.backbone)
    top = (described.top,) if recipe.uses_top and described.top else ()
    return (*described.blocks, *top)


def _free_blocks(recipe: Recipe, phase: Phase) -> set[str]:
    titles = [block.title for block in _blocks(recipe)]
    if phase.trainable == "all":
        return set(titles)
    count = 0 if phase.trainable == "head" else int(phase.trainable)
    return set(titles[len(titles) - count :])


def _layers_with_blocks(
    body: keras.Model, recipe: Recipe
) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Every layer that has variables or a dropout rate, with the title of its block."""
    blocks = _blocks(recipe)
    for layer in body.layers:
        if not layer.variables and not hasattr(layer, "published_rate"):
            continue
        titles = [block.title for block in blocks if re.match(block.pattern, layer.name)]
        if not titles:
            raise LookupError(f"{recipe.backbone}: no block holds layer {layer.name!r}.")
        yield layer, titles[0]


def _dropouts(body: keras.Model) -> Iterator[keras.layers.Layer]:
    return (layer for layer in body.layers if isinstance(getattr(layer, "rate", None), float))


def _seed_states(model: keras.Model) -> list[keras.Variable]:
    return [
        variable for variable in model.variables if variable.path.endswith("seed_generator_state")
    ]
