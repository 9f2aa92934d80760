"""Measure how long steps of a recipe take on this machine, with random weights and pixels.

Speed does not depend on the values, so nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.learning import model as networks
from tl_engine.learning.batches import Batches
from tl_engine.learning.training import EVALUATION_BATCH
from tl_engine.recipe import Phase, Recipe
from tl_engine.splits import Split
from tl_engine.study import Seeds
from tl_engine.work import rate_key

BATCHES = 3
BUDGET_SECONDS = 20.0
"""A phase is measured with one batch only where a batch takes longer than a few seconds."""


def measure(recipe: Recipe, phases: list[Phase], began: float) -> Iterator[dict[str, Any]]:
    """Seconds per image and per set-up for each of the phases, as `work.estimate` wants them.

    Args:
        began: when this process began, on the performance counter: the start-up that a run pays.
    """
    blank = replace(recipe, pretrained=False)
    model = networks.build_model(blank, Seeds.of_pair(1))
    reader = networks.reader(model)
    startup = time.perf_counter() - began
    forward = _forward_seconds(reader, recipe)
    for phase in phases:
        started = time.perf_counter()
        networks.set_phase(model, blank, phase)
        setup = time.perf_counter() - started
        first, later = _train_seconds(model, recipe)
        yield {
            **rate_key(recipe, phase),
            "train_seconds_per_image": later / recipe.batch_size,
            "forward_seconds_per_image": forward,
            "setup_seconds": setup + max(first - later, 0.0),
            "startup_seconds": startup,
        }


def _train_seconds(model: keras.Model, recipe: Recipe) -> tuple[float, float]:
    """The first batch, which also traces the graph, and the median of those after it."""
    times = _Times()
    one = _pixels(recipe, recipe.batch_size)
    started = time.perf_counter()
    model.fit(Batches(one, recipe.batch_size), verbose=0, shuffle=False)
    first = time.perf_counter() - started
    count = BATCHES if first < BUDGET_SECONDS else 1
    many = np.tile(np.arange(recipe.batch_size), count + 1)
    model.fit(Batches(one, recipe.batch_size, many), verbose=0, shuffle=False, callbacks=[times])
    return first, float(np.median(times.seconds))


def _forward_seconds(reader: keras.Model, recipe: Recipe) -> float:
    images = _pixels(recipe, min(EVALUATION_BATCH, 4 * recipe.batch_size))
    batches = Batches(images, EVALUATION_BATCH)
    reader.predict(batches, verbose=0)
    started = time.perf_counter()
    reader.predict(batches, verbose=0)
    return (time.perf_counter() - started) / len(images.labels)


def _pixels(recipe: Recipe, count: int) -> Split:
    data = dataset(recipe.dataset)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, data.height, data.width, 3), dtype=np.uint8)
    labels = random.integers(0, data.classes, count)
    return Split(images, labels, np.arange(count))


class _Times(keras.callbacks.Callback):
    """Seconds from the end of one batch to the end of the next."""

    def __init__(self) -> None:
        super().__init__()
        self._ends: list[float] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._ends.append(time.perf_counter())

    @property
    def seconds(self) -> np.ndarray:
        return np.diff(self._ends)
