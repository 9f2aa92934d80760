"""Feeding a model: the only place where batches meet a graph, each graph traced once."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

EVALUATION_BATCH = 256


class Source(Protocol):
    """Where a model's inputs come from, by position: a split's pixels, or their features."""

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The inputs at these positions, (m, ...)."""


class Graph:
    """A graph that is traced when it is first called, and how long that took."""

    def __init__(self) -> None:
        self._calls: list[float] = []

    @property
    def is_traced(self) -> bool:
        """Whether it was called before."""
        return bool(self._calls)

    @property
    def warm_up(self) -> float:
        """Seconds that its first call took longer than its second: tracing, optimizing."""
        return max(self._calls[0] - self._calls[1], 0.0) if len(self._calls) > 1 else 0.0

    def _timed(self, call: Callable[..., Any], *inputs: Any) -> Any:
        began = time.perf_counter()
        said = call(*inputs)
        if len(self._calls) < 2:
            self._calls.append(time.perf_counter() - began)
        return said


class Learner(Graph):
    """Trains a compiled model."""

    def __init__(self, model: keras.Model, *, xla: bool = False) -> None:
        """
        Args:
            xla: compile its training step with XLA.
        """
        super().__init__()
        self.model = model
        self._losses: list[tf.Tensor] = []
        step = tf.autograph.experimental.do_not_convert(model.train_step)
        if xla:
            step = tf.function(step, jit_compile=True)

        def train(inputs: tf.Tensor, labels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
            losses = tf.TensorArray(tf.float32, 0, dynamic_size=True)
            for start in tf.range(0, tf.shape(inputs)[0], size):
                total, count = (tf.identity(variable) for variable in self._loss_state)
                step((inputs[start : start + size], labels[start : start + size]))
                more, images = (tf.identity(variable) for variable in self._loss_state)
                losses = losses.write(losses.size(), (more - total) / (images - count))
            return losses.stack()

        whole = tf.TensorSpec((), tf.int32)
        labels = tf.TensorSpec((None,), tf.int64)
        self._train = tf.function(train, input_signature=[_spec(model), labels, whole])

    def train(
        self,
        source: Source,
        labels: np.ndarray,
        order: np.ndarray,
        size: int,
        beat: Callable[[int], None],
        skipped: int = 0,
        at_once: int = 1,
    ) -> None:
        """One step for each batch of `size` positions, in this order.

        Args:
            beat: told how many batches are done, after every `at_once` of them.
            skipped: batches to leave out at the beginning.
            at_once: how many batches are handed to the graph together; the same steps.
        """
        self._losses.clear()
        for start in range(skipped * size, len(order), size * at_once):
            chosen = order[start : start + size * at_once]
            losses = self._timed(self._train, source.take(chosen), labels[chosen], size)
            self._losses.append(losses)
            beat(-(-min(start + size * at_once, len(order)) // size) - skipped)

    def take_losses(self) -> np.ndarray:
        """The loss of each step since it was asked last, float32, as it was before the step changed
        the weights. Asking waits for the steps to be done."""
        taken = [np.zeros(0, np.float32), *(losses.numpy() for losses in self._losses)]
        self._losses.clear()
        return np.concatenate(taken)

    @property
    def running_loss(self) -> list[float]:
        """The sum and the count of which the epoch's running loss is the quotient."""
        return [float(variable) for variable in self._loss_state]

    @running_loss.setter
    def running_loss(self, state: list[float]) -> None:
        for variable, value in zip(self._loss_state, state, strict=True):
            variable.assign(value)

    @property
    def _loss_state(self) -> list[keras.Variable]:
        loss = next(metric for metric in self.model.metrics if metric.name == "loss")
        return list(loss.variables)


class Reader(Graph):
    """Asks a model in inference mode; whether and how it is compiled means nothing to it."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model

        @tf.autograph.experimental.do_not_convert
        def read(inputs: tf.Tensor) -> tf.Tensor:
            return tf.cast(model(inputs, training=False), tf.float32)

        self._read = tf.function(read, input_signature=[_spec(model)])

    def read(
        self,
        source: Source,
        beat: Callable[[int], None] | None = None,
        positions: np.ndarray | None = None,
    ) -> np.ndarray:
        """What the model says, (m, ...) float32.

        Args:
            beat: told how many inputs are done, after every batch.
            positions: which inputs, in which order; None means all.
        """
        positions = np.arange(len(source)) if positions is None else positions
        said = []
        for start in range(0, len(positions), EVALUATION_BATCH):
            chosen = positions[start : start + EVALUATION_BATCH]
            said.append(self.ask(source.take(chosen)))
            if beat:
                beat(len(chosen))
        return np.concatenate(said)

    def ask(self, inputs: np.ndarray) -> np.ndarray:
        """What the model says of one batch."""
        return self._timed(self._read, inputs).numpy()


def epoch_order(images: int, seed: int) -> np.ndarray:
    """The order in which one epoch sees its images: a permutation that the seed alone decides."""
    return np.random.default_rng(seed).permutation(images)


def _spec(model: keras.Model) -> tf.TensorSpec:
    first = model.inputs[0]
    return tf.TensorSpec((None, *first.shape[1:]), first.dtype)
