"""Corrupted images, the same pixels whenever they are made: six corruptions at five severities, and
the probe: a few validation images, clean and mildly corrupted, on which a network is looked at.

Kinds and constants of the six are those published for CIFAR-10-C (Hendrycks and Dietterich 2019,
their make_cifar_c.py, where the blur is among the four extra ones). They are meant for 32 pixels:
on images of another size the blur's radius grows with the shorter side, a pixelated image keeps the
same share of its pixels, and the others, which change each pixel or blocks of eight, stay as they
are. Values are rounded, where the published images are cut off, and the noise of grey images is
grey.

The probe is the same for all runs on the same images, as far as their validation split is, and so
small that looking costs a run at most a tenth of its own work.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from PIL import Image

from tl_engine.data.splits import Split, stratified
from tl_engine.recipe import Recipe

SEVERITIES = 5
SAMPLE = 500
"""Validation images that are corrupted: 30 passes of more would take longer than training."""
PROBE_SHARE = 0.06
"""Of a run's work; the rest of the tenth is for tracing, fitting and copying."""
PROBE_IMAGES = (256, 192, 128, 96, 64)
"""Multiples of 32, so that what is said of an image does not depend on its place in a batch."""
BETWEEN = (9, 3)
"""Points between the ends of a phase's path: 11 or 5 with them."""
CONTRAST, NOISE = 0.6, 0.06
"""The mild corruption: what is left of each pixel's distance from its image's mean, and the
standard deviation of the noise as a share of the range 0 to 255."""


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
    """Images, uint8 (n, height, width, 3), with a corruption of CORRUPTIONS at severity 1 to 5;
    what is random depends on index, corruption and severity of each image alone.

    Args:
        indices: (n,) of the images in their published array.
        grey: their three channels are one.
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

    sigma *= min(images.shape[1:3]) / 32
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
    files = [io.BytesIO() for _ in images]
    for image, file in zip(images, files, strict=True):
        Image.fromarray(image).save(file, "JPEG", quality=int(quality))
    return np.stack([np.asarray(Image.open(file)) for file in files])


CORRUPTIONS = {
    "noise": Corruption("Gaussian noise", (0.04, 0.06, 0.08, 0.09, 0.10), _noise, True),
    "blur": Corruption("Gaussian blur", (0.4, 0.6, 0.7, 0.8, 1.0), _blur),
    "contrast": Corruption("Less contrast", (0.75, 0.5, 0.4, 0.3, 0.15), _contrast),
    "brightness": Corruption("Brighter", (0.05, 0.1, 0.15, 0.2, 0.3), _brightness),
    "pixelate": Corruption("Pixelated", (0.95, 0.9, 0.85, 0.75, 0.65), _pixelate),
    "jpeg": Corruption("JPEG", (80, 65, 58, 50, 40), _jpeg),
}


class ProbeSize(NamedTuple):
    """How many images the probe has, and at how many points between the ends of a path a network
    is looked at."""

    images: int
    between: int


class Probe:
    """The images: the clean ones, then the same ones corrupted. A source for readers.

    Attributes:
        labels: int64 (n,), of the clean images.
    """

    def __init__(self, validation: Split, fingerprint: str, images: int) -> None:
        """So many validation images; the dataset's fingerprint decides which."""
        random = np.random.default_rng(list(fingerprint.encode()))
        chosen = stratified(validation.labels, images, random)
        self.labels, clean = validation.labels[chosen], validation.take(chosen)
        self._pixels = np.concatenate([clean, mildly_corrupted(clean)])

    def __len__(self) -> int:
        return len(self._pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Probe) and np.array_equal(self._pixels, other._pixels)

    __hash__ = None  # type: ignore[assignment]

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The images at these positions, (m, height, width, 3) uint8."""
        return self._pixels[positions]

    @property
    def clean(self) -> np.ndarray:
        """The positions of the clean images."""
        return np.arange(len(self.labels))


def mildly_corrupted(images: np.ndarray) -> np.ndarray:
    """The images (n, height, width, 3) uint8 with less contrast and grey noise, always the same."""
    random = np.random.default_rng(0)
    values = images.astype(np.float32)
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    noise = random.standard_normal((*images.shape[:3], 1), dtype=np.float32)
    made = mean + CONTRAST * (values - mean) + 255 * NOISE * noise
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def size_for(recipe: Recipe, work: float) -> ProbeSize | None:
    """The largest probe that a run of so much work (in forward passes of one image) can afford;
    None where it can afford none."""
    free = sum(phase.trains_backbone for phase in recipe.phases)
    for images in [count for count in PROBE_IMAGES if count <= recipe.validation_images]:
        for between in (*BETWEEN, 0) if images == PROBE_IMAGES[-1] else BETWEEN:
            if 2 * images * (1 + free) + images * between * free <= PROBE_SHARE * work:
                return ProbeSize(images, between)
    return None
