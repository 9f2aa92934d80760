"""The backbones one can choose, from the table in backbones.toml; loads no Keras."""

from __future__ import annotations

import tomllib
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

from tl_engine.errors import CatalogError

Triple = tuple[float, float, float]
IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class Block:
    """A named stretch of layers, the unit of "top n blocks".

    Attributes:
        title: for people.
        pattern: regular expression that a layer's name matches from its beginning.
        weights: trainable parameters outside BatchNormalization.
        batchnorm_weights: its scales and offsets.
        batchnorm_statistics: its moving means and variances.
        stride, channels: what leaves it has a pixel for each stride x stride of the image's,
            rounded up, and so many channels; 0 where there is no image any more.
    """

    title: str
    pattern: str
    weights: int
    batchnorm_weights: int
    batchnorm_statistics: int
    stride: int = 0
    channels: int = 0

    def trainable(self, batchnorm: str) -> int:
        """Parameters that train when the block is free, under a BatchNorm policy."""
        return self.weights + (self.batchnorm_weights if batchnorm == "adapt" else 0)


@dataclass(frozen=True)
class Backbone:
    """A pretrained network.

    Attributes:
        name, title: for the engine, for people.
        input_size: side in pixels that its published weights were trained for.
        minimum_size: the smallest side it takes.
        scale, offset, bgr: its input is pixels 0..255 * scale + offset per channel, in the order
            BGR or RGB.
        feature_width: channels of its feature map.
        blocks: bottom-up, without the ImageNet classifier.
        top: the 1000-way ImageNet classifier; None where there is none.
        imagenet_top1: accuracy in percent, as `imagenet_source` says; None where unknown.
        licence, weights_source: of the published weights.
        weights_files: their names in Keras' cache, with and without the top; empty where Keras
            does not fetch them.
        pretrained: published weights exist.
        offline: they come with the installed packages.
    """

    name: str
    title: str
    _: KW_ONLY
    scale: Triple
    offset: Triple
    bgr: bool = False
    input_size: int = 224
    minimum_size: int = 32
    feature_width: int
    blocks: tuple[Block, ...]
    top: Block | None = None
    imagenet_top1: float | None = None
    imagenet_source: str = "keras.applications table, https://keras.io/api/applications/"
    licence: str
    weights_source: str = "Downloaded by keras.applications on first use."
    weights_files: tuple[str, ...] = ()
    pretrained: bool = True
    offline: bool = False

    def parameters(self, head_input: str) -> int:
        """Trainable parameters under the new head, BatchNormalization's included."""
        return sum(block.trainable("adapt") for block in self._blocks(head_input))

    def trainable_parameters(
        self, trainable: str | int, batchnorm: str, head_input: str, classes: int
    ) -> int:
        """Parameters that train in a phase ("head", "all", or n for the top n blocks), the new
        head's included."""
        blocks = self._blocks(head_input)
        free = blocks[len(blocks) - self._free(trainable, head_input) :]
        head = (self._head_inputs(head_input) + 1) * classes
        return head + sum(block.trainable(batchnorm) for block in free)

    def feature_bytes(self, trainable: str | int, head_input: str, image_size: int) -> int:
        """What the layers below a phase say about an image, in bytes of float32; 0 where there are
        none. Where a network pads by hand it may be a seventh more."""
        blocks = self._blocks(head_input)
        free = self._free(trainable, head_input)
        if free == len(blocks):
            return 0
        if free == 0:
            return 4 * self._head_inputs(head_input)
        below = blocks[len(blocks) - free - 1]
        side = -(-image_size // below.stride)
        return 4 * side * side * below.channels

    def _free(self, trainable: str | int, head_input: str) -> int:
        if isinstance(trainable, int):
            return trainable
        return len(self._blocks(head_input)) if trainable == "all" else 0

    def _head_inputs(self, head_input: str) -> int:
        return self.feature_width if self._blocks(head_input) == self.blocks else IMAGENET_CLASSES

    def _blocks(self, head_input: str) -> tuple[Block, ...]:
        if self.top is None or head_input not in ("logits", "softmax"):
            return self.blocks
        return (*self.blocks, self.top)


NORMALISATIONS: dict[str, tuple[Triple, Triple]] = {
    "none": ((1.0, 1.0, 1.0), (0.0, 0.0, 0.0)),
    "symmetric": ((1 / 127.5,) * 3, (-1.0, -1.0, -1.0)),
    # ImageNet's mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225 for pixels 0..255.
    "torch": (
        (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)),
        (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225),
    ),
    "caffe": ((1.0, 1.0, 1.0), (-103.939, -116.779, -123.68)),
    "lite": ((1 / 128,) * 3, (-127 / 128,) * 3),
}
"""Scale and offset by name; "caffe" takes its channels in the order BGR."""


def _backbone(name: str, facts: dict[str, Any]) -> Backbone:
    normalisation, top = facts.pop("normalisation"), facts.pop("top", None)
    scale, offset = NORMALISATIONS[normalisation]
    return Backbone(
        name=name,
        scale=scale,
        offset=offset,
        bgr=normalisation == "caffe",
        blocks=tuple(Block(*block) for block in facts.pop("blocks")),
        top=Block(*top) if top else None,
        weights_files=tuple(facts.pop("weights_files", ())),
        **facts,
    )


TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
BACKBONES = {name: _backbone(name, facts) for name, facts in TABLE.items()}


def backbone(name: str) -> Backbone:
    """The backbone of that name; raises CatalogError, listing the names there are."""
    if name not in BACKBONES:
        raise CatalogError(f"There is no backbone {name!r}: choose {', '.join(BACKBONES)}.")
    return BACKBONES[name]
