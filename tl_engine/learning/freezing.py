"""Which layers a phase trains: free them, freeze the rest, compile.

Frozen means constant: no gradient, BatchNormalization in inference mode, no dropout.
"""

import re
from collections.abc import Iterator

import keras
import numpy as np

from tl_engine.catalog.backbones import Block
from tl_engine.recipe import Phase, Recipe

KERAS_OPTIMIZERS = {
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": lambda rate: keras.optimizers.SGD(rate, momentum=0.9),
}


def set_phase(
    model: keras.Model, recipe: Recipe, phase: Phase, trained: keras.Model | None = None
) -> None:
    """Free what the phase trains, freeze the rest, then compile; the only place that does.

    With the policy "as pretrained" every BatchNormalization layer is frozen in every phase.
    Changing `trainable` takes effect only when the model is compiled, and freeing a parent resets
    its children, so layers are set one by one, each time.

    Args:
        trained: what is compiled, where it is not the whole network: its upper part, or a twin of
            the same layers. If compiled for such a phase before, only its optimizer begins anew.
    """
    free = free_blocks(recipe, phase)
    for layer, block in layers_with_blocks(model.body, recipe):
        is_batchnorm = isinstance(layer, keras.layers.BatchNormalization)
        layer.trainable = block in free and not (is_batchnorm and recipe.batchnorm != "adapt")
        if hasattr(layer, "published_rate"):
            layer.rate = layer.published_rate if block in free else 0.0
    trained = model if trained is None else trained
    if trained is model or not trained.compiled:
        _compile(trained, recipe, phase)
        return
    for variable, value in zip(trained.optimizer.variables, trained.initial_state, strict=True):
        variable.assign(value)
    trained.optimizer.learning_rate = phase.learning_rate


def may_change(model: keras.Model) -> set[int]:
    """`id`s of the variables that the phase set last may change: trainable ones and the
    statistics of free BatchNormalization layers."""
    allowed = {id(variable) for variable in model.trainable_variables}
    for layer in model.body.layers:
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable:
            allowed |= {id(variable) for variable in layer.non_trainable_variables}
    return allowed


def blocks_of(recipe: Recipe) -> tuple[Block, ...]:
    """The blocks of the recipe's backbone, bottom-up; its classifier is one where it is used."""
    described = recipe.described_backbone
    top = (described.top,) if recipe.uses_top and described.top else ()
    return (*described.blocks, *top)


def free_blocks(recipe: Recipe, phase: Phase) -> set[str]:
    """Titles of the blocks that the phase trains."""
    titles = [block.title for block in blocks_of(recipe)]
    count = int({"head": 0, "all": len(titles)}.get(str(phase.trainable), phase.trainable))
    return set(titles[len(titles) - count :])


def layers_with_blocks(
    body: keras.Model, recipe: Recipe
) -> Iterator[tuple[keras.layers.Layer, str]]:
    """Every layer that has variables or a dropout rate, with the title of its block."""
    blocks = blocks_of(recipe)
    for layer in body.layers:
        if not layer.variables and not hasattr(layer, "published_rate"):
            continue
        titles = [block.title for block in blocks if re.match(block.pattern, layer.name)]
        if not titles:
            raise LookupError(f"{recipe.backbone}: no block holds layer {layer.name!r}.")
        yield layer, titles[0]


def _compile(model: keras.Model, recipe: Recipe, phase: Phase) -> None:
    optimizer = KERAS_OPTIMIZERS[phase.optimizer](phase.learning_rate)
    if recipe.precision != "float32":
        # Half precision cannot hold small gradients, unless the loss is scaled up.
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # Keras would refuse XLA where operations are deterministic: TrainingGraph compiles.
    loss = keras.losses.SparseCategoricalCrossentropy()
    model.compile(optimizer=optimizer, loss=loss, jit_compile=False)
    # Variables that appear while a graph is traced make TensorFlow trace it a second time.
    optimizer.build(model.trainable_variables)
    model.initial_state = [_copy(np.asarray(variable)) for variable in optimizer.variables]


def _copy(array: np.ndarray) -> np.ndarray:
    """A copy; zeros, the initial moments of an optimizer, take no memory: twice the network's."""
    return array.copy() if array.any() else np.broadcast_to(array.dtype.type(0), array.shape)
