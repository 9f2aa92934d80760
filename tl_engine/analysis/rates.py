"""How long work takes on this machine, from rates that were measured here: in finished runs, or by
`learning/device.py`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tl_engine.analysis.work import features_work, sizes_of
from tl_engine.recipe import Phase, Recipe

NOT_IN_RATES = {
    "pretrained": "speed does not depend on the values of weights",
    "train_images": "a rate is per image",
    "dataset": "only its images' native size matters, which stands in the key",
    "head_input": "only whether the ImageNet classifier is part of the network, likewise",
}
"""Settings of a recipe that do not decide how long a step takes, and why. All others do, also those
that a later version adds."""


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


def latest_rate(
    key: Mapping[str, Any], measurements: list[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The last measurement of that key; None where there is none."""
    matching = (m for m in reversed(measurements) if all(m.get(k) == key[k] for k in key))
    return next(matching, None)
