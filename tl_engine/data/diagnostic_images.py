"""The probe: a few validation images, clean and corrupted, on which a network is looked at.

It is the same for all runs on the same images, as far as their validation split is, and so small
that looking costs a run at most a tenth of its own work.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tl_engine.data.splits import Split, stratified
from tl_engine.recipe import Recipe

SHARE = 0.06
"""Of a run's work; the rest of the tenth is for tracing, fitting and copying."""
IMAGES = (256, 192, 128, 96, 64)
"""Multiples of 32, so that what is said of an image does not depend on its place in a batch."""
BETWEEN = (9, 3)
"""Points between the ends of a phase's path: 11 or 5 with them."""
CONTRAST, NOISE = 0.6, 0.06
"""The mild corruption: what is left of each pixel's distance from its image's mean, and the
standard deviation of the noise as a share of the range 0 to 255."""


class ProbeSize(NamedTuple):
    """How large the probe is, and how many points between the ends of a path it is asked at."""

    images: int
    between: int


class Probe:
    """The images: the clean ones, then the same ones corrupted. A source for readers.

    Attributes:
        labels: int64 (n,), of the clean images.
    """

    def __init__(self, validation: Split, fingerprint: str, images: int) -> None:
        """
        Args:
            fingerprint: of the dataset; with the split it decides which images.
        """
        random = np.random.default_rng(list(fingerprint.encode()))
        chosen = stratified(validation.labels, images, random)
        self.labels, clean = validation.labels[chosen], validation.take(chosen)
        self._pixels = np.concatenate([clean, corrupted(clean)])

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


def corrupted(images: np.ndarray) -> np.ndarray:
    """The images (n, height, width, 3) uint8 with less contrast and grey noise, always the same."""
    random = np.random.default_rng(0)
    values = images.astype(np.float32)
    mean = values.mean(axis=(1, 2, 3), keepdims=True)
    noise = random.standard_normal((*images.shape[:3], 1), dtype=np.float32)
    made = mean + CONTRAST * (values - mean) + 255 * NOISE * noise
    return np.clip(np.rint(made), 0, 255).astype(np.uint8)


def size_for(recipe: Recipe, work: float) -> ProbeSize | None:
    """The largest probe that a run can afford; None where it can afford none.

    Args:
        work: of the whole run, in forward passes of one image.
    """
    free = sum(phase.trains_backbone for phase in recipe.phases)
    for images in [count for count in IMAGES if count <= recipe.validation_images]:
        for between in (*BETWEEN, 0) if images == IMAGES[-1] else BETWEEN:
            if 2 * images * (1 + free) + images * between * free <= SHARE * work:
                return ProbeSize(images, between)
    return None
