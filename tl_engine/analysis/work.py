"""How much work a recipe is, counted in forward passes of one image.

A training step costs three when gradients flow into the backbone (forward, gradients of
activations, gradients of weights). Where a part of the network stays the same below a phase, each
image passes it once, and a step costs what is above.
"""

from __future__ import annotations

from typing import NamedTuple

from tl_engine.data.corruptions import CORRUPTIONS, SAMPLE, SEVERITIES
from tl_engine.recipe import Phase, Recipe

HEAD_SHARE = 0.01
TRAIN_SAMPLE = 500
"""Training images on which accuracy is measured after every epoch, the same for all epochs."""


class Sizes(NamedTuple):
    """Numbers of images: training, its measured sample, validation, test."""

    train: int
    sample: int
    validation: int
    test: int


def sizes_of(recipe: Recipe) -> Sizes:
    """Numbers of images as the dataset's description has them; none is loaded."""
    train, test = recipe.training_images, recipe.described_dataset.test
    return Sizes(train, min(train, TRAIN_SAMPLE), recipe.validation_images, test)


def share_above(recipe: Recipe, phase: Phase) -> float:
    """The part of a forward pass that every batch of the phase costs, 0 to 1: about that of the
    blocks which it trains, and next to nothing for a head on cached activations."""
    if not recipe.keeps_features(phase):
        return 1.0
    return HEAD_SHARE + (1 - HEAD_SHARE) * share_trained(recipe, phase)


def share_trained(recipe: Recipe, phase: Phase) -> float:
    """The part of the backbone's blocks that the phase trains: 0 for a head, 1 for all layers."""
    if not isinstance(phase.trainable, int):
        return float(phase.trains_backbone)
    return phase.trainable / recipe.blocks


def work_per_image(recipe: Recipe, phase: Phase) -> float:
    """Forward passes that one training image costs in an epoch of the phase."""
    times = 3 if phase.trains_backbone else 1
    return times * share_above(recipe, phase)


def features_work(recipe: Recipe, phase: Phase, sizes: Sizes) -> int:
    """Work of what is computed once in the phase, where nothing of it is there yet."""
    return (sizes.train + sizes.validation) if recipe.keeps_features(phase) else 0


def phase_work(recipe: Recipe, phase: Phase, sizes: Sizes) -> float:
    """Work of a phase's epochs with the measurements after each of them."""
    per_epoch = sizes.train * work_per_image(recipe, phase)
    per_epoch += (sizes.sample + sizes.validation) * share_above(recipe, phase)
    return phase.epochs * per_epoch


def total_work(recipe: Recipe, sizes: Sizes) -> float:
    """Work of a whole run."""
    phases = recipe.phases
    once = sum(features_work(recipe, phase, sizes) for phase in phases)
    return once + sum(phase_work(recipe, phase, sizes) for phase in phases)


def test_work(recipe: Recipe) -> int:
    """Work of measuring a finished run on the test split."""
    return recipe.described_dataset.test


def robustness_work(recipe: Recipe) -> int:
    """Work of measuring a finished run on corrupted validation images."""
    return min(recipe.validation_images, SAMPLE) * (1 + len(CORRUPTIONS) * SEVERITIES)
