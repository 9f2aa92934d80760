"""A recipe's network: native uint8 pixels in, class probabilities out.

Resizing, augmentation and the backbone's normalisation are layers of the model, so that training,
prediction and export cannot drift apart. Only built-in Keras layers and operations are used: a
saved model.keras loads in plain Keras.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np

from tl_engine.catalog.backbones import Backbone
from tl_engine.learning.architectures import build_backbone
from tl_engine.recipe import Recipe
from tl_engine.study import Seeds

AS_SEEN = "as_seen"
"""Name of the layer whose output is the picture as the network sees it, pixels 0..255."""


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
    data, described = recipe.described_dataset, recipe.described_backbone
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
    model = keras.Model(pixels, through(layers, body(normalised)), name="thaw")
    model.body, model.normalised, model.above_body = body, normalised, layers
    for layer in _dropouts(body):
        layer.published_rate = layer.rate
    return model


def initial_head(shape: tuple[int, ...], seeds: Seeds) -> list[np.ndarray]:
    """Kernel, of this shape, and bias that building the network with these seeds gives its head."""
    return [np.asarray(_head_kernel(seeds)(shape)), np.zeros(shape[-1], np.float32)]


def restore_published_dropout(model: keras.Model) -> None:
    """Reset dropout to its published rates, so that an exported model trains as expected."""
    for layer in _dropouts(model.body):
        layer.rate = layer.published_rate


def through(layers: list[keras.layers.Layer], x: keras.KerasTensor) -> keras.KerasTensor:
    """The output of the last of these layers, each applied to the one before."""
    for layer in layers:
        x = layer(x)
    return x


def _augment(x: keras.KerasTensor, seed: int) -> keras.KerasTensor:
    x = keras.layers.RandomFlip("horizontal", seed=seed, name="flip")(x)
    return keras.layers.RandomTranslation(0.1, 0.1, fill_mode="nearest", seed=seed, name="shift")(x)


def _normalise(x: keras.KerasTensor, described: Backbone) -> keras.KerasTensor:
    if described.bgr:
        x = keras.ops.flip(x, axis=-1)
    scale, offset = list(described.scale), list(described.offset)
    return keras.layers.Rescaling(scale, offset, name="normalise")(x)


def _pooling(head_input: str) -> list[keras.layers.Layer]:
    """The layers between the body and the head."""
    layers = {
        "pooled-avg": lambda: [keras.layers.GlobalAveragePooling2D(name="pool")],
        "pooled-max": lambda: [keras.layers.GlobalMaxPooling2D(name="pool")],
        "logits": list,
        "softmax": lambda: [keras.layers.Softmax(name="softmax")],
    }
    return layers[head_input]()


def _head_kernel(seeds: Seeds) -> keras.initializers.Initializer:
    return keras.initializers.GlorotUniform(seed=seeds.head)


@contextmanager
def _policy(recipe: Recipe) -> Iterator[None]:
    """Layers that are made inside compute in the recipe's precision."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(recipe.precision.replace(" ", "_"))
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _dropouts(body: keras.Model) -> Iterator[keras.layers.Layer]:
    return (layer for layer in body.layers if isinstance(getattr(layer, "rate", None), float))
