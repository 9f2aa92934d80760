"""A recipe's network, and its parts: native uint8 pixels in, class probabilities out.

Resizing, augmentation and the backbone's normalisation are layers of the model, so that training,
prediction and export cannot drift apart. Only built-in Keras layers and operations are used: a
saved model.keras loads in plain Keras.
"""

from itertools import chain

import keras

from tl_engine.learning.architectures import build_backbone
from tl_engine.learning.freezing import blocks_of, free_blocks, layers_with_blocks
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

AS_SEEN = "as_seen"
"""Name of the layer whose output is the picture as the network sees it, pixels 0..255."""
BELOW_HEAD: dict[str, list[tuple[type[keras.layers.Layer], str]]] = {
    "pooled-avg": [(keras.layers.GlobalAveragePooling2D, "pool")],
    "pooled-max": [(keras.layers.GlobalMaxPooling2D, "pool")],
    "logits": [],
    "softmax": [(keras.layers.Softmax, "softmax")],
}
"""The layers between the body and the head, and their names."""


def build_model(recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> keras.Model:
    """The recipe's network, not yet compiled: from uint8 (batch, height, width, 3) at the dataset's
    native size to float32 probabilities (batch, classes).

    Args:
        weights: load the published weights if the recipe is pretrained; off when variables are
            assigned from a checkpoint right after.

    Raises:
        WeightsUnavailable: where pretrained weights are neither here nor to be fetched.
    """
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision.replace(" ", "_"))
    try:
        return _build(recipe, seeds, weights)
    finally:
        keras.config.set_dtype_policy(previous)


def _build(recipe: Recipe, seeds: Seeds, weights: bool) -> keras.Model:
    data, loads = recipe.described_dataset, recipe.pretrained and weights
    pixels = keras.Input((data.height, data.width, 3), dtype="uint8", name="pixels")
    normalised = _normalised(pixels, recipe, seeds.order)
    body = build_backbone(recipe.backbone, recipe.image_size, recipe.uses_top, loads, seeds.head)
    head = keras.layers.Dense(
        data.classes,
        activation="softmax",
        kernel_initializer=keras.initializers.GlorotUniform(seed=seeds.head),
        dtype="float32",
        name="head",
    )
    layers = [*(layer(name=name) for layer, name in BELOW_HEAD[recipe.head_input]), head]
    model = keras.Model(pixels, through(layers, body(normalised)), name="thaw")
    model.body, model.normalised, model.above_body = body, normalised, layers
    for layer in body.layers:
        if isinstance(getattr(layer, "rate", None), float):  # dropout
            layer.published_rate = layer.rate
    return model


def _normalised(pixels: keras.KerasTensor, recipe: Recipe, seed: int) -> keras.KerasTensor:
    """Pixels resized, augmented and normalised as the backbone expects them."""
    layers, size, described = keras.layers, recipe.image_size, recipe.described_backbone
    x = layers.Resizing(size, size, dtype="float32", name=AS_SEEN)(pixels)
    if recipe.augmentation:
        x = layers.RandomFlip("horizontal", seed=seed, name="flip")(x)
        x = layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed, name="shift")(x)
    if described.bgr:
        x = keras.ops.flip(x, axis=-1)
    return layers.Rescaling(list(described.scale), list(described.offset), name="normalise")(x)


def through(layers: list[keras.layers.Layer], x: keras.KerasTensor) -> keras.KerasTensor:
    """The output of the last of these layers, each applied to the one before."""
    for layer in layers:
        x = layer(x)
    return x


def boundary(model: keras.Model, recipe: Recipe, phase: Phase) -> keras.KerasTensor | None:
    """The one tensor through which the frozen layers feed what the phase trains: of `model.body`,
    or the head's input where that is frozen as a whole; None where nothing below is frozen, or more
    than one tensor crosses."""
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
    # Keras shows operations only; layers that stand in several models have nodes of all of them.
    by_depth = sorted(model.body._nodes_by_depth.items(), reverse=True)
    for node in chain.from_iterable(nodes for _, nodes in by_depth):
        inputs, outputs = node.input_tensors, node.output_tensors
        if id(node.operation) in trained or any(id(tensor) in upper for tensor in inputs):
            crossing |= {id(tensor): tensor for tensor in inputs if id(tensor) not in upper}
            upper |= {id(tensor) for tensor in outputs}
    return next(iter(crossing.values())) if len(crossing) == 1 else None


def model_below(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From pixels to a boundary."""
    if tensor is not model.get_layer("head").input:
        tensor = keras.Model(model.body.inputs, tensor)(model.normalised)
    return keras.Model(model.inputs, tensor, name="below")


def model_above(model: keras.Model, tensor: keras.KerasTensor) -> keras.Model:
    """From a boundary to probabilities."""
    # Stored as float32, which holds every value of a smaller type; the layers cast it back.
    features = keras.Input(tensor.shape[1:], dtype="float32", name="features")
    layers = [model.get_layer("head")]
    if tensor is not layers[0].input:
        layers = [keras.Model(tensor, model.body.outputs[0]), *model.above_body]
    return keras.Model(features, through(layers, features), name="above")
