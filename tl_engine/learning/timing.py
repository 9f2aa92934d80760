"""Measure how long steps of a recipe take on this machine, with random weights and pixels.

Speed does not depend on the values, so nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.data.splits import Split
from tl_engine.execution.cost import rate_key
from tl_engine.learning.batches import EVALUATION_BATCH, Reader, Source
from tl_engine.learning.feature_maker import are_wanted
from tl_engine.learning.network import Network, Stage
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

BATCHES = 3
BUDGET_SECONDS = 20.0
"""A phase is measured with one batch only where a batch takes longer than a few seconds."""


def measure(recipe: Recipe, phases: list[Phase], began: float) -> Iterator[dict[str, Any]]:
    """Seconds per image and per set-up for each of the phases, as `work.estimate` wants them.

    Args:
        began: when this process began, on the performance counter: the start-up that a run pays.
    """
    blank = replace(recipe, pretrained=False)
    network = Network(blank, Seeds.of_pair(1))
    startup = time.perf_counter() - began
    pixels = _pixels(recipe, min(EVALUATION_BATCH, 4 * recipe.batch_size))
    forward = _reading_seconds(network.reader, pixels)
    for phase in phases:
        started = time.perf_counter()
        stage = network.enter(blank, phase, features=are_wanted())
        setup = time.perf_counter() - started
        one = _pixels(recipe, recipe.batch_size)
        source: Source = _Rows(stage.below.read(one)) if stage.below else one
        first, later = _train_seconds(stage, source, one.labels, recipe.batch_size)
        reading = _reading_seconds(stage.reader, source) if stage.below else forward
        yield {
            **rate_key(recipe, phase),
            "train_seconds_per_image": later / recipe.batch_size,
            "reading_seconds_per_image": reading,
            "forward_seconds_per_image": forward,
            "setup_seconds": setup + max(first - later, 0.0),
            "startup_seconds": startup,
        }


def _train_seconds(
    stage: Stage, source: Source, labels: np.ndarray, size: int
) -> tuple[float, float]:
    """The first call, which also traces the graph, and the mean batch of those after it."""

    def call(count: int) -> float:
        began = time.perf_counter()
        positions = np.tile(np.arange(len(labels)), count)
        stage.learner.train(source, labels, positions, size, lambda done: None, 0, stage.at_once)
        return time.perf_counter() - began

    first = call(1)
    count = BATCHES * stage.at_once if first < BUDGET_SECONDS else 1
    return first, call(count) / count


def _reading_seconds(reader: Reader, source: Source) -> float:
    reader.read(source)
    began = time.perf_counter()
    reader.read(source)
    return (time.perf_counter() - began) / len(source)


def _pixels(recipe: Recipe, count: int) -> Split:
    data = dataset(recipe.dataset)
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, data.height, data.width, 3), dtype=np.uint8)
    labels = random.integers(0, data.classes, count)
    return Split(images, labels, np.arange(count))


class _Rows:
    """Features in memory."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def take(self, positions: np.ndarray) -> np.ndarray:
        return self._rows[positions]
