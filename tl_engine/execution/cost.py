"""What a study takes on this machine, with what was computed before and what its runs share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from tl_engine.analysis.rates import (
    Estimate,
    estimate,
    latest_rate,
    measurements_of,
    missing_rates,
    rate_key,
)
from tl_engine.analysis.work import (
    HEAD_SHARE,
    TRAIN_SAMPLE,
    Sizes,
    features_work,
    phase_work,
    robustness_work,
    share_above,
    share_trained,
    sizes_of,
    test_work,
    total_work,
    work_per_image,
)
from tl_engine.recipe import Recipe
from tl_engine.runs.evaluations import Evaluation
from tl_engine.runs.phase_ends import names_of
from tl_engine.study import Study

__all__ = [
    "HEAD_SHARE",
    "TRAIN_SAMPLE",
    "Estimate",
    "Plan",
    "Sizes",
    "estimate",
    "evaluation_seconds",
    "evaluation_work",
    "features_work",
    "measurements_of",
    "missing_rates",
    "phase_work",
    "plan",
    "rate_key",
    "share_above",
    "share_trained",
    "sizes_of",
    "total_work",
    "work_per_image",
]

EVALUATION_WORK = {Evaluation.TEST: test_work, Evaluation.ROBUSTNESS: robustness_work}


def evaluation_work(recipe: Recipe, kind: Evaluation) -> int:
    """Work of measuring a finished run after training."""
    return EVALUATION_WORK[kind](recipe)


def evaluation_seconds(
    recipes: Iterable[Recipe], kind: Evaluation, measurements: Iterable[Mapping[str, Any]]
) -> float | None:
    """How long measuring finished runs of these recipes takes here, but for the seconds in which
    TensorFlow starts; None where a network was never measured."""
    measurements, seconds = list(measurements), 0.0
    for recipe in recipes:
        rates = (latest_rate(rate_key(recipe, phase), measurements) for phase in recipe.phases)
        rate = next((rate for rate in rates if rate), None)
        if rate is None:
            return None
        seconds += evaluation_work(recipe, kind) * rate["forward_seconds_per_image"]
    return seconds


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
