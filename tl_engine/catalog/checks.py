"""Whether a recipe can be trained: what its backbone and its dataset allow.

The form of each value is checked by the recipe itself; here it meets the catalog. Launching checks
both; reading a run checks the form alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from tl_engine.catalog.backbones import BACKBONES, Backbone
from tl_engine.catalog.datasets import Dataset
from tl_engine.errors import Problem
from tl_engine.recipe import MAXIMUM_IMAGE_SIZE, Recipe


def problems(recipe: Recipe) -> Iterator[Problem]:
    """What cannot be trained, a sentence for each field; nothing if all is well."""
    if recipe.backbone in BACKBONES:
        yield from _backbone_problems(recipe, BACKBONES[recipe.backbone])
    else:
        names = ", ".join(BACKBONES)
        yield Problem("backbone", f"Backbone is one of {names}, got {recipe.backbone!r}.")
    if recipe.snapshot:
        yield from _dataset_problems(recipe, recipe.snapshot)


def _dataset_problems(recipe: Recipe, dataset: Dataset) -> Iterator[Problem]:
    images, most, title = recipe.train_images, dataset.default_train, dataset.title
    if images is not None and images < dataset.classes:
        each = f"each of the {dataset.classes} classes of {title}"
        right = f"Training needs at least one image of {each}"
        yield Problem("train_images", f"{right}, got {images}.")
    elif images is not None and images > most:
        sentence = f"{title} has {most:,} training images, got {images:,}."
        yield Problem("train_images", sentence)


def _backbone_problems(recipe: Recipe, backbone: Backbone) -> Iterator[Problem]:
    if recipe.image_size < backbone.minimum_size:
        yield Problem(
            "image_size",
            f"{backbone.title} takes images of {backbone.minimum_size} to "
            f"{MAXIMUM_IMAGE_SIZE} px, got {recipe.image_size}.",
        )
    if recipe.uses_top and backbone.top is None:
        yield Problem(
            "head_input",
            f"{backbone.title} has no ImageNet classifier to feed the head from: "
            f'choose "pooled-avg" or "pooled-max", got {recipe.head_input!r}.',
        )
    if recipe.pretrained and not backbone.pretrained:
        yield Problem(
            "pretrained", f"{backbone.title} has no published weights: switch pretrained off."
        )
    for index, phase in enumerate(recipe.phases):
        if isinstance(phase.trainable, int) and phase.trainable > recipe.blocks:
            yield Problem(
                f"phases.{index}.trainable",
                f"{backbone.title} has {recipe.blocks} blocks with this head input, "
                f"got the top {phase.trainable}.",
            )
