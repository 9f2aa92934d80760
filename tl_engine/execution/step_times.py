"""Measure how long training steps take on this machine, for estimates."""

from __future__ import annotations

import os
import time

from tl_engine.execution.cost import missing_rates
from tl_engine.execution.process import work_in_background
from tl_engine.recipe import Recipe
from tl_engine.runs import RunStore
from tl_engine.storage.lease import hold


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
