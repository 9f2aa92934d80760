"""What a study takes on this machine, with what was computed before and what its runs share."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import Any

from tl_engine.analysis.work import (
    Estimate,
    estimate,
    missing_rates,
)
from tl_engine.machine import work_in_background
from tl_engine.recipe import Recipe
from tl_engine.runs import RunStore
from tl_engine.runs.phase_ends import names_of
from tl_engine.storage.lease import hold
from tl_engine.study import Study


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
    study: Study, measurements: Iterable[Mapping[str, Any]], cached: Set[str], threads: int
) -> Plan | None:
    """How long a study takes here; None where a kind of step was never measured.

    Args:
        cached: names of the ends of phases that are there already.
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
        ends = (count for count, name in enumerate(names, 1) if name in there or name in cached)
        done = max(ends, default=0)
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


def measure(store: RunStore, recipes: list[Recipe]) -> None:
    """Measure, in this process, every kind of step of the recipes that was never measured here;
    returns at once where another process measures."""
    began = time.perf_counter()
    with hold(store.measurement_lease) as holding:
        if not holding:
            return
        work_in_background()
        from tl_engine.learning.device import measure as measure_phases
        from tl_engine.learning.device import prepare_device

        prepare_device(os.cpu_count() or 1)
        for recipe in recipes:
            missing = missing_rates(recipe, store.measurements())
            if missing:
                for measurement in measure_phases(recipe, missing, began):
                    store.add_measurement(measurement)
