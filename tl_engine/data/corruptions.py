"""Corrupted images: six corruptions at five severities, the same pixels for whoever asks.

Kinds and constants are those published for CIFAR-10-C (Hendrycks and Dietterich 2019, their
make_cifar_c.py, where the blur is among the four extra ones). They are meant for 32 pixels: on
images of another size the blur's radius grows with the shorter side, a pixelated image keeps the
same share of its pixels, and the others, which change each pixel or blocks of eight, stay as they
are. Values are rounded, where the published images are cut off, and the noise of grey images is
grey.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tl_engine.data.splits import Split, stratified

SEVERITIES = 5
PUBLISHED_SIDE = 32
SAMPLE = 500
"""Validation images that are corrupted: 30 passes of more would take longer than training."""


class Corruption(NamedTuple):
    """A way to corrupt images.

    Attributes:
        title: for people.
        constants: one per severity, least first.
        corrupt: from images (n, height, width, 3) and a constant to values 0 to 255.
        is_random: `corrupt` also takes a generator per image.
    """

    title: str
    constants: tuple[float, ...]
    corrupt: Callable[..., np.ndarray]
    is_random: bool = False


def corrupted(
    images: np.ndarray, indices: np.ndarray, name: str, severity: int, *, grey: bool = False
) -> np.ndarray:
    """Images with a corruption of CORRUPTIONS; what is random depends on index, corruption and
    severity of each image alone.

    Args:
        images: uint8 (n, height, width, 3).
        indices: (n,) of the images in their published array.
        severity: 1 to 5.
        grey: their three channels are one.

    Returns:
        uint8 of the same shape.
    """
    corruption = CORRUPTIONS[name]
    constant = corruption.constants[severity - 1]
    if not corruption.is_random:
        values = corruption.corrupt(images, constant)
    else:
        place = list(CORRUPTIONS).index(name)
        randoms = [np.random.default_rng([int(i), place, severity]) for i in indices]
        values = corruption.corrupt(images, constant, randoms, 1 if grey else 3)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def sample_of(validation: Split) -> Split:
    """The validation images that are corrupted: at most 500, every class in proportion, the same
    for all runs that share the split."""
    count = min(len(validation), SAMPLE)
    chosen = stratified(validation.labels, count, np.random.default_rng(0))
    labels, indices = validation.labels[chosen], validation.indices[chosen]
    return Split(validation.published, labels, indices, validation.part)


def _noise(
    images: np.ndarray, deviation: float, randoms: list[np.random.Generator], channels: int
) -> np.ndarray:
    shape = (*images.shape[1:3], channels)
    drawn = np.stack([random.normal(size=shape, scale=deviation) for random in randoms])
    return images + 255 * drawn


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    sigma *= min(images.shape[1:3]) / PUBLISHED_SIDE
    return gaussian_filter(images.astype(np.float64), (0, sigma, sigma, 0), mode="nearest")


def _contrast(images: np.ndarray, share: float) -> np.ndarray:
    means = images.mean(axis=(1, 2), keepdims=True)
    return (images - means) * share + means


def _brightness(images: np.ndarray, added: float) -> np.ndarray:
    """Adds to the value of hue, saturation and value, which is the largest channel."""
    values = images.max(axis=3, keepdims=True) / 255
    brighter = np.minimum(values + added, 1.0)
    scaled = images * np.divide(brighter, values, where=values > 0, out=np.zeros_like(values))
    return np.where(values > 0, scaled, 255 * brighter)


def _pixelate(images: np.ndarray, share: float) -> np.ndarray:
    height, width = images.shape[1:3]
    small, box = (int(width * share), int(height * share)), Image.Resampling.BOX
    pictures = (Image.fromarray(image).resize(small, box) for image in images)
    return np.stack([np.asarray(picture.resize((width, height), box)) for picture in pictures])


def _jpeg(images: np.ndarray, quality: float) -> np.ndarray:
    made = []
    for image in images:
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=int(quality))
        made.append(np.asarray(Image.open(file)))
    return np.stack(made)


CORRUPTIONS = {
    "noise": Corruption("Gaussian noise", (0.04, 0.06, 0.08, 0.09, 0.10), _noise, True),
    "blur": Corruption("Gaussian blur", (0.4, 0.6, 0.7, 0.8, 1.0), _blur),
    "contrast": Corruption("Less contrast", (0.75, 0.5, 0.4, 0.3, 0.15), _contrast),
    "brightness": Corruption("Brighter", (0.05, 0.1, 0.15, 0.2, 0.3), _brightness),
    "pixelate": Corruption("Pixelated", (0.95, 0.9, 0.85, 0.75, 0.65), _pixelate),
    "jpeg": Corruption("JPEG", (80, 65, 58, 50, 40), _jpeg),
}
