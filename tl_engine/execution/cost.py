"""How much work a recipe is, and how long that takes on this machine.

Work is counted in forward passes of one image: a training step costs three when gradients flow
into the backbone (forward, gradients of features, gradients of weights). Where a part of the
network stays the same below a phase, each image passes it once, and a step costs what is above.
Seconds come from rates that were measured here, in finished runs or by `learning/measurement.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any, NamedTuple

from tl_engine.catalog.backbones import backbone
from tl_engine.catalog.datasets import dataset
from tl_engine.data.corruptions import CORRUPTIONS, SAMPLE, SEVERITIES
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs.evaluation_results import Evaluation
from tl_engine.runs.phase_ends import names_of
from tl_engine.study import Study

HEAD_SHARE = 0.01
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
        reading: of which once, for what is constant below it.
        images_per_second: training, in each phase.
    """

    seconds: float
    phases: tuple[float, ...]
    reading: tuple[float, ...]
    images_per_second: tuple[float, ...]


def sizes_of(recipe: Recipe) -> Sizes:
    """What the catalog says about the recipe's images, without loading them."""
    train, test = recipe.training_images, dataset(recipe.dataset).test
    return Sizes(train, min(train, TRAIN_SAMPLE), recipe.validation_images, test)


def share_above(recipe: Recipe, phase: Phase) -> float:
    """The part of a forward pass that every batch of the phase costs, 0 to 1: about that of the
    blocks which it trains, and next to nothing for a head on kept features."""
    if not recipe.keeps_features(phase):
        return 1.0
    return HEAD_SHARE + (1 - HEAD_SHARE) * share_trained(recipe, phase)


def share_trained(recipe: Recipe, phase: Phase) -> float:
    """The part of the backbone's blocks that the phase trains: 0 for a head, 1 for all layers."""
    if not isinstance(phase.trainable, int):
        return float(phase.trains_backbone)
    return phase.trainable / (len(backbone(recipe.backbone).blocks) + recipe.uses_top)


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


def evaluation_work(recipe: Recipe, kind: Evaluation) -> int:
    """Work of asking a finished run."""
    if kind is Evaluation.TEST:
        return dataset(recipe.dataset).test
    return min(recipe.validation_images, SAMPLE) * (1 + len(CORRUPTIONS) * SEVERITIES)


def evaluation_seconds(
    recipes: Iterable[Recipe], kind: Evaluation, measurements: Iterable[Mapping[str, Any]]
) -> float | None:
    """How long asking finished runs of these recipes takes here, but for the seconds in which
    TensorFlow starts; None where a network was never measured."""
    measurements, seconds = list(measurements), 0.0
    for recipe in recipes:
        rates = (_latest(rate_key(recipe, phase), measurements) for phase in recipe.phases)
        rate = next((rate for rate in rates if rate), None)
        if rate is None:
            return None
        seconds += evaluation_work(recipe, kind) * rate["forward_seconds_per_image"]
    return seconds


def rate_key(recipe: Recipe, phase: Phase) -> dict[str, Any]:
    """What decides how long a step takes, besides the machine."""
    return {
        "backbone": recipe.backbone,
        "image_size": recipe.image_size,
        "batch_size": recipe.batch_size,
        "top": recipe.uses_top,
        "batchnorm": recipe.batchnorm,
        "precision": recipe.precision,
        "xla": recipe.xla,
        "augmentation": recipe.augmentation,
        "trainable": phase.trainable_label,
        "features": recipe.keeps_features(phase),
    }


def missing_rates(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> list[Phase]:
    """One phase for each kind of step that was never measured here."""
    measurements = list(measurements)
    missing = [p for p in recipe.phases if _latest(rate_key(recipe, p), measurements) is None]
    return list({phase.trainable: phase for phase in missing}.values())


def estimate(recipe: Recipe, measurements: Iterable[Mapping[str, Any]]) -> Estimate | None:
    """How long a run takes here; None where a kind of step was never measured."""
    measurements, sizes = list(measurements), sizes_of(recipe)
    seconds, reading, rates, startup = [], [], [], 0.0
    for phase in recipe.phases:
        rate = _latest(rate_key(recipe, phase), measurements)
        if rate is None:
            return None
        forward, startup = rate["forward_seconds_per_image"], rate["startup_seconds"]
        per_epoch = sizes.train * rate["train_seconds_per_image"]
        per_epoch += (sizes.sample + sizes.validation) * rate["reading_seconds_per_image"]
        reading.append(features_work(recipe, phase, sizes) * forward)
        seconds.append(rate["setup_seconds"] + reading[-1] + phase.epochs * per_epoch)
        rates.append(1 / rate["train_seconds_per_image"])
    return Estimate(startup + sum(seconds), tuple(seconds), tuple(reading), tuple(rates))


@dataclass(frozen=True)
class Plan:
    """What a study takes here.

    Attributes:
        seconds: with what is computed already, and what its runs share.
        cold_seconds: if every run computed everything itself.
        shared, phases: phases that need not be computed, of all phases of all runs.
    """

    seconds: float
    cold_seconds: float
    shared: int
    phases: int


def plan(
    study: Study,
    measurements: Iterable[Mapping[str, Any]],
    kept: Set[str],
    threads: int,
) -> Plan | None:
    """How long a study takes here; None where a kind of step was never measured.

    Args:
        kept: names of the ends of phases that are there already.
        threads: that its runs will use.
    """
    measurements = list(measurements)
    there: set[object] = set()
    seconds, cold, shared, phases = 0.0, 0.0, 0, 0
    for arm, pair in study.training_order():
        recipe = study.arms[arm].recipe
        expected = estimate(recipe, measurements)
        if expected is None:
            return None
        names = names_of(recipe, pair, threads)
        known = [name in there or name in kept for name in names]
        done = len(known) - known[::-1].index(True) if any(known) else 0
        there |= set(names)
        seconds += expected.seconds - sum(expected.phases[:done])
        seconds -= _read_already(recipe, pair, done, expected, there)
        cold, shared, phases = cold + expected.seconds, shared + done, phases + len(names)
    return Plan(seconds, cold, shared, phases)


def _read_already(
    recipe: Recipe, pair: int, done: int, expected: Estimate, there: set[object]
) -> float:
    """Seconds of reading what another arm of the pair has read: images through frozen layers
    that no phase before has changed."""
    saved = 0.0
    for index, phase in enumerate(recipe.phases):
        if phase.trains_backbone:
            break
        layers = (recipe.network, phase.trainable, pair)
        if index >= done and layers in there:
            saved += expected.reading[index]
        there.add(layers)
    return saved


def measurements_of(
    recipe: Recipe, phases: Iterable[Mapping[str, Any]], forward: float | None, startup: float
) -> Iterator[dict[str, Any]]:
    """What a finished run's timings teach about its kinds of steps.

    Args:
        phases: timings as the trainer leaves them in scores.json.
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


def _latest(
    key: Mapping[str, Any], measurements: list[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    matching = (m for m in reversed(measurements) if all(m.get(k) == key[k] for k in key))
    return next(matching, None)
