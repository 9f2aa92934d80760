"""Measure how long steps of a recipe take on this machine, with random weights and pixels.

Speed does not depend on the values, so nothing is downloaded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tl_engine.analysis.work import rate_key
from tl_engine.data.splits import Split
from tl_engine.learning.batches import EVALUATION_BATCH, InferenceGraph
from tl_engine.learning.network import Network, PhaseGraphs
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

BATCHES = 3
BUDGET_SECONDS = 20.0
"""A phase is measured with one batch only where a batch takes longer than a few seconds."""


def measure(recipe: Recipe, phases: list[Phase], began: float) -> Iterator[dict[str, Any]]:
    """Seconds per image and per set-up for each of the phases, as `rates.estimate` reads them.

    Args:
        began: when this process began, on the performance counter: the start-up that a run pays.
    """
    blank = replace(recipe, pretrained=False)
    network = Network(blank, Seeds.of_pair(1))
    startup = time.perf_counter() - began
    pixels = random_images(recipe, min(EVALUATION_BATCH, 4 * recipe.batch_size))
    forward = _inference_seconds(network.inference, pixels)
    for phase in phases:
        started = time.perf_counter()
        graphs = network.enter(blank, phase)
        setup = time.perf_counter() - started
        batch = random_images(recipe, recipe.batch_size)
        if graphs.below:
            batch = replace(batch, published=graphs.below.predict(batch))
        first, later = _training_seconds(graphs, batch)
        reading = _inference_seconds(graphs.inference, batch) if graphs.below else forward
        yield {
            **rate_key(recipe, phase),
            "train_seconds_per_image": later / recipe.batch_size,
            "reading_seconds_per_image": reading,
            "forward_seconds_per_image": forward,
            "setup_seconds": setup + max(first - later, 0.0),
            "startup_seconds": startup,
        }


def random_images(recipe: Recipe, count: int) -> Split:
    """Random pixels and labels of the recipe's dataset."""
    data = recipe.described_dataset
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, data.height, data.width, 3), dtype=np.uint8)
    labels = random.integers(0, data.classes, count)
    return Split(images, labels, np.arange(count))


def _training_seconds(graphs: PhaseGraphs, batch: Split) -> tuple[float, float]:
    """The first call, which also traces the graph, and the mean batch of those after it."""
    size, per_call = len(batch), graphs.batches_per_call

    def call(count: int) -> float:
        began = time.perf_counter()
        positions = np.tile(np.arange(size), count)
        train = graphs.training.train
        train(batch, batch.labels, positions, size, lambda done: None, 0, per_call)
        return time.perf_counter() - began

    first = call(1)
    count = BATCHES * per_call if first < BUDGET_SECONDS else 1
    return first, call(count) / count


def _inference_seconds(graph: InferenceGraph, batch: Split) -> float:
    graph.predict(batch)
    began = time.perf_counter()
    graph.predict(batch)
    return (time.perf_counter() - began) / len(batch)
