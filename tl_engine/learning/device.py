"""The device that trains: its threads are pinned, its kernels deterministic, its speed measured."""

import ctypes
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import tensorflow as tf

from tl_engine import machine
from tl_engine.analysis.work import rate_key
from tl_engine.data.splits import Split
from tl_engine.learning.batches import EVALUATION_BATCH, InferenceGraph
from tl_engine.learning.network import Network, PhaseGraphs
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

BATCHES, BUDGET_SECONDS = 3, 20.0
"""A phase is measured with one batch only where a batch takes longer than a few seconds."""


def prepare_device(threads: int) -> dict[str, Any]:
    """Pin threads and determinism; before the first operation of the process. Gives what a run
    records of its machine: system, processor, cores, memory in bytes, device, threads.

    Thread count changes the order of sums and so the bits; op determinism makes two processes
    with the same threads agree to the last one (CPU).
    """
    _cache_freed_memory()
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        # Operations that wait for none of the others run beside them: an eighth of a fine-tuning
        # step on two cores, with the same bits (docs/performance.md).
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices("GPU")
    return {
        **machine.description(),
        "device": gpus[0].name if gpus else "CPU",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }


def measure(recipe: Recipe, phases: list[Phase], began: float) -> Iterator[dict[str, Any]]:
    """Seconds per image and per set-up for each of the phases, as `rates.estimate` reads them.

    Weights and pixels are random, so that nothing is downloaded: speed does not depend on them.

    Args:
        began: when this process began, on the performance counter: the start-up that a run pays.
    """
    blank = replace(recipe, pretrained=False)
    network = Network(blank, Seeds.of_pair(1))
    startup = time.perf_counter() - began
    pixels = _random_images(recipe, min(EVALUATION_BATCH, 4 * recipe.batch_size))
    forward = _inference_seconds(network.inference, pixels)
    for phase in phases:
        started = time.perf_counter()
        graphs = network.enter(blank, phase)
        setup = time.perf_counter() - started
        batch = _random_images(recipe, recipe.batch_size)
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


def _cache_freed_memory() -> None:
    """Let malloc retain what TensorFlow frees after every operation.

    glibc gives large blocks back to the system at once and gets them again, page by page, for the
    next operation: a third of the time in the kernel, and half the speed of fine-tuning on small
    images (`python -m bench.speed` measures it). Other C libraries are left as they are.
    """
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        # M_MMAP_MAX, M_TRIM_THRESHOLD and M_TOP_PAD of glibc's malloc.h
        for parameter, value in ((-4, 0), (-1, 2**31 - 1), (-2, 256 * 2**20)):
            mallopt(parameter, value)


def _random_images(recipe: Recipe, count: int) -> Split:
    data = recipe.described_dataset
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (count, data.height, data.width, 3), dtype=np.uint8)
    return Split(images, random.integers(0, data.classes, count), np.arange(count))


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
