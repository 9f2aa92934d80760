"""Build the backbones of the catalog; the architecture never depends on whether weights load."""

import os
from collections.abc import Callable
from pathlib import Path

import keras
from keras import layers

from tl_engine.catalog.backbones import Backbone, backbone
from tl_engine.errors import WeightsUnavailable
from tl_engine.learning.efficientnet_lite import efficientnet_lite0, load_imagenet_weights

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)
"""Of RGB channels scaled to 0..1; as in keras.applications."""
BARE: dict[str, object] = {"include_preprocessing": False}
FACTORIES: dict[str, tuple[Callable[..., keras.Model], dict[str, object]]] = {
    "resnet50": (keras.applications.ResNet50, {}),
    "resnet50v2": (keras.applications.ResNet50V2, {}),
    "efficientnetb0": (keras.applications.EfficientNetB0, {}),
    "efficientnetv2b0": (keras.applications.EfficientNetV2B0, BARE),
    "mobilenetv2": (keras.applications.MobileNetV2, {}),
    "mobilenetv3small": (keras.applications.MobileNetV3Small, BARE),
    "convnexttiny": (keras.applications.ConvNeXtTiny, BARE),
}


def build_backbone(
    name: str, image_size: int, with_top: bool, pretrained: bool, seed: int
) -> keras.Model:
    """A backbone at any size that it can take: from normalised float pixels (batch, size, size, 3)
    to its feature map (batch, h, w, width) or, with its ImageNet classifier, to 1000 logits.

    Args:
        pretrained: load the published weights; otherwise `seed` decides the random ones.

    Raises:
        WeightsUnavailable: where the weights are neither here nor to be fetched.
    """
    keras.utils.set_random_seed(seed)
    if name == "tiny":
        return tiny(image_size)
    if name == "efficientnet-lite0":
        model = efficientnet_lite0(image_size, with_top)
        if pretrained:
            load_imagenet_weights(model)
        return model
    described = backbone(name)
    model = _construct(described, image_size, with_top, weights=None)
    if pretrained:
        # keras.applications loads its classifier at the default size only; copying the variables
        # of the published network works at every size.
        try:
            published = _construct(described, described.input_size, with_top, weights="imagenet")
        except Exception as error:  # Keras raises a bare Exception where a download fails
            raise WeightsUnavailable(_sentence(described, with_top, error)) from error
        model.set_weights(published.get_weights())
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            # EfficientNet-B0's published file keeps the deviation where the layer expects the
            # variance, and Keras mends that with one more layer, but only when it loads the weights
            # itself. The true variance gives the same function with or without published weights.
            layer.adapt_mean.assign(IMAGENET_MEAN)
            layer.adapt_variance.assign([deviation**2 for deviation in IMAGENET_DEVIATION])
            layer.finalize_state()
    return model


def tiny(image_size: int) -> keras.Model:
    """A small network with every kind of layer that a phase has to treat: for tests, and for
    the "not pretrained" control."""
    pixels = keras.Input((image_size, image_size, 3))
    x = pixels
    for number, filters in enumerate((8, 16, 32), start=1):
        name = f"block{number}_"
        x = layers.Conv2D(filters, 3, 2, "same", use_bias=False, name=f"{name}conv")(x)
        x = layers.BatchNormalization(name=f"{name}bn")(x)
        x = layers.ReLU(name=f"{name}relu")(x)
        x = layers.Dropout(0.1, name=f"{name}dropout")(x)
    return keras.Model(pixels, x)


def _construct(
    described: Backbone, image_size: int, with_top: bool, weights: str | None
) -> keras.Model:
    factory, options = FACTORIES[described.name]
    if with_top:
        options = {**options, "classifier_activation": None}
    shape = (image_size, image_size, 3)
    return factory(weights=weights, include_top=with_top, input_shape=shape, **options)


def _sentence(described: Backbone, with_top: bool, error: Exception) -> str:
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser() / "models"
    file = described.weights_files[0 if with_top else 1]
    reason = " ".join(str(error).split()).rstrip(".")
    # Keras removes what it could not fetch whole, so a file that is there is a damaged one.
    if (folder / file).exists():
        return (
            f"The ImageNet weights of {described.title} are damaged ({reason}): remove {file} from "
            f"{folder} and they are fetched again."
        )
    return (
        f"The ImageNet weights of {described.title} could not be fetched ({reason}): without a "
        f"network, put {file} into {folder}, or choose EfficientNet-Lite0, whose weights come with "
        "Thaw."
    )
