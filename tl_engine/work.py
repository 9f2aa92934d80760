"""How much work a recipe is, and how long that takes on this machine.

Work is counted in forward passes of one image: a training step costs three when gradients flow
into the backbone (forward, gradients of features, gradients of weights), else one. Seconds come
from rates that were measured here, in finished runs or by `learning/measurement.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from tl_engine.catalog.datasets import dataset
from tl_engine.recipe import Phase, Recipe

TRAIN_SAMPLE = 500
"""Training images on which accuracy is measured after every epoch, the same for all epochs."""


class Sizes(NamedTuple):
    """Numbers of images: training, its measured sample, validation, test."""

    train: int
    sample: int
    validation: int
    test: int


@dataclass(frozen=True)
class Estimate:
    """Seconds that a run of a recipe takes here, and the rates behind them.

    Attributes:
        seconds: from claiming the run to its last file.
        phases: of which in each phase.
        images_per_second: training, in each phase.
    """

    seconds: float
    phases: tuple[float, ...]
    images_per_second: tuple[float, ...]


def sizes_of(recipe: Recipe) -> Sizes:
    """What the catalog says about the recipe's images, without loading them."""
    data = dataset(recipe.dataset)
    train = recipe.training_images
    validation = data.validation or data.train - data.default_train
    return Sizes(train, min(train, TRAIN_SAMPLE), validation, data.test)


def work_per_image(phase: Phase) -> int:
    """Forward passes that one training image costs in the phase."""
    return 3 if phase.trains_backbone else 1


def phase_work(phase: Phase, sizes: Sizes) -> int:
    """Work of a phase with the measurements after each of its epochs."""
    per_epoch = sizes.train * work_per_image(phase) + sizes.sample + sizes.validation
    return phase.epochs * per_epoch


def total_work(recipe: Recipe, sizes: Sizes) -> int:
    """Work of a whole run, the test split included."""
    return sum(phase_work(phase, sizes) for phase in recipe.phases) + sizes.test


def rate_key(recipe: Recipe, phase: Phase) -> dict[str, Any]:
    """What decides how long a step takes, besides the machine."""
    return {
        "backbone": recipe.backbone,
        "image_size": recipe.image_size,
        "batch_size": recipe.batch_size,
        "top": recipe.uses_top,
        "batchnorm": recipe.batchnorm,
        "augmentation": recipe.augmentation,
        "trainable": phase.trainable_label,
    }


def missing_rates(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """One phase for each kind of step that was never measured here."""
    measurements = list(measurements)
    missing = [p for p in recipe.phases if _latest(rate_key(recipe, p), measurements) is None]
    return list({phase.trainable: phase for phase in missing}.values())


def estimate(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> Estimate | None:
    """How long a run takes here; None where a kind of step was never measured."""
    measurements, sizes = list(measurements), sizes_of(recipe)
    seconds, rates, forward, startup = [], [], 0.0, 0.0
    for phase in recipe.phases:
        rate = _latest(rate_key(recipe, phase), measurements)
        if rate is None:
            return None
        forward, startup = rate["forward_seconds_per_image"], rate["startup_seconds"]
        per_epoch = sizes.train * rate["train_seconds_per_image"]
        per_epoch += (sizes.sample + sizes.validation) * forward
        seconds.append(rate["setup_seconds"] + phase.epochs * per_epoch)
        rates.append(1 / rate["train_seconds_per_image"])
    total = startup + sum(seconds) + sizes.test * forward
    return Estimate(total, tuple(seconds), tuple(rates))


def measurements_of(
    recipe: Recipe, phases: Iterable[Mapping[str, Any]], startup: float
) -> Iterable[dict[str, Any]]:
    """What a finished run's timings teach about its kinds of steps.

    Args:
        phases: timings as the trainer leaves them in scores.json.
        startup: seconds from claiming the run to its first phase.
    """
    for timing in phases:
        first, *later = timing["epoch_seconds"] or [0.0]
        if not later or not timing["evaluated"]:
            continue  # the only epoch also traced the graph: its rate would flatter nobody
        mean = sum(later) / len(later)
        evaluations = timing["epochs"] * timing["evaluated"]
        yield {
            **rate_key(recipe, recipe.phases[timing["phase"]]),
            "train_seconds_per_image": mean / timing["images"],
            "forward_seconds_per_image": timing["evaluation"] / evaluations,
            "setup_seconds": timing["setup"] + max(first - mean, 0.0),
            "startup_seconds": startup,
        }


def _latest(
    key: Mapping[str, Any], measurements: list[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    matching = (m for m in reversed(measurements) if all(m.get(k) == key[k] for k in key))
    return next(matching, None)
