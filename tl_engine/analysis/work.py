"""How much work a recipe is, counted in forward passes of one image, and how long it takes here.

A training step costs three when gradients flow into the backbone (forward, gradients of
activations, gradients of weights). Where a part of the network stays the same below a phase, each
image passes it once, and a step costs what is above. Seconds follow from rates that were measured
on this machine, in finished runs or by `learning/timing.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tl_engine.data.corruptions import CORRUPTIONS, SAMPLE, SEVERITIES
from tl_engine.recipe import Phase, Recipe

HEAD_SHARE = 0.01
TRAIN_SAMPLE = 500
"""Training images on which accuracy is measured after every epoch, the same for all epochs."""
NOT_IN_RATES = {
    "pretrained": "speed does not depend on the values of weights",
    "train_images": "a rate is per image",
    "dataset": "only its images' native size matters, which stands in the key",
    "head_input": "only whether the ImageNet classifier is part of the network, likewise",
}
"""Settings of a recipe that do not decide how long a step takes, and why. All others do, also those
that a later version adds."""


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
    return (3 if phase.trains_backbone else 1) * share_above(recipe, phase)


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
    once = sum(features_work(recipe, phase, sizes) for phase in recipe.phases)
    return once + sum(phase_work(recipe, phase, sizes) for phase in recipe.phases)


def test_work(recipe: Recipe) -> int:
    """Work of measuring a finished run on the test split."""
    return recipe.described_dataset.test


def robustness_work(recipe: Recipe) -> int:
    """Work of measuring a finished run on corrupted validation images."""
    return min(recipe.validation_images, SAMPLE) * (1 + len(CORRUPTIONS) * SEVERITIES)


class Estimate(NamedTuple):
    """Seconds that a run takes here, from claiming it to its last file: of which in each phase, and
    of these once, for what is constant below it (`reading`); images trained per second."""

    seconds: float
    phases: tuple[float, ...]
    reading: tuple[float, ...]
    images_per_second: tuple[float, ...]


def rate_key(recipe: Recipe, phase: Phase) -> dict[str, Any]:
    """What decides how long a step takes, besides the machine: plain data."""
    settings = {k: v for k, v in recipe.to_dict().items() if k not in {"phases", *NOT_IN_RATES}}
    images = recipe.described_dataset
    return {
        **settings,
        "native_size": [images.height, images.width],
        "top": recipe.uses_top,
        "trainable": phase.trainable_label,
        "features": recipe.keeps_features(phase),
    }


def missing_rates(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """One phase for each kind of step that was never measured here."""
    measurements = list(measurements)
    missing = [p for p in recipe.phases if latest_rate(rate_key(recipe, p), measurements) is None]
    return list({phase.trainable: phase for phase in missing}.values())


def estimate(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> Estimate | None:
    """How long a run takes here; None where a kind of step was never measured."""
    measurements, sizes = list(measurements), sizes_of(recipe)
    seconds, reading, rates, startup = [], [], [], 0.0
    for phase in recipe.phases:
        rate = latest_rate(rate_key(recipe, phase), measurements)
        if rate is None:
            return None
        forward, startup = rate["forward_seconds_per_image"], rate["startup_seconds"]
        per_epoch = sizes.train * rate["train_seconds_per_image"]
        per_epoch += (sizes.sample + sizes.validation) * rate["reading_seconds_per_image"]
        reading.append(features_work(recipe, phase, sizes) * forward)
        seconds.append(rate["setup_seconds"] + reading[-1] + phase.epochs * per_epoch)
        rates.append(1 / rate["train_seconds_per_image"])
    return Estimate(startup + sum(seconds), tuple(seconds), tuple(reading), tuple(rates))


def measurements_of(
    recipe: Recipe, phases: Iterable[Mapping[str, Any]], forward: float | None, startup: float
) -> Iterator[dict[str, Any]]:
    """What the timings of a finished run's phases teach about its kinds of steps.

    Args:
        forward: seconds in which an image passed the whole network; None where none did.
        startup: seconds from claiming the run to its first phase.
    """
    for timing in phases:
        first, *later = timing["epoch_seconds"] or [0.0]
        if not later or not timing["evaluated"] or "shared" in timing or forward is None:
            continue  # the only epoch also traced the graph: its rate would flatter nobody
        mean = sum(later) / len(later)
        evaluations = timing["epochs"] * timing["evaluated"]
        yield {
            **rate_key(recipe, recipe.phases[timing["phase"]]),
            "train_seconds_per_image": mean / timing["images"],
            "reading_seconds_per_image": timing["evaluation"] / evaluations,
            "forward_seconds_per_image": forward,
            "setup_seconds": timing["setup"] + max(first - mean, 0.0),
            "startup_seconds": startup,
        }


def latest_rate(
    key: Mapping[str, Any], measurements: list[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The last measurement of that key; None where there is none."""
    matching = (m for m in reversed(measurements) if all(m.get(k) == key[k] for k in key))
    return next(matching, None)
