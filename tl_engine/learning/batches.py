"""Feeding a model: the only place where batches meet a graph, each graph traced once."""

import time
from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

EVALUATION_BATCH = 256


class BatchSource(Protocol):
    """Where a model's inputs come from, by position: a split's pixels, or cached features."""

    def __len__(self) -> int: ...

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The inputs at these positions, (m, ...)."""


class TracedGraph:
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
        outputs = call(*inputs)
        if len(self._calls) < 2:
            self._calls.append(time.perf_counter() - began)
        return outputs


class TrainingGraph(TracedGraph):
    """Training steps of a compiled model."""

    def __init__(self, model: keras.Model, *, xla: bool = False) -> None:
        """Prepare the steps, compiled with XLA where wanted."""
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
        source: BatchSource,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        on_batches: Callable[[int], None],
        skipped: int = 0,
        batches_per_call: int = 1,
    ) -> None:
        """One step for each batch of positions, taken from the order from left to right.

        Args:
            on_batches: called with the number of batches done, after each call of the graph.
            skipped: batches to leave out at the beginning.
            batches_per_call: how many batches the graph is called with; the same steps.
        """
        self._losses.clear()
        per_call = batch_size * batches_per_call
        for start in range(skipped * batch_size, len(order), per_call):
            chosen = order[start : start + per_call]
            losses = self._timed(self._train, source.take(chosen), labels[chosen], batch_size)
            self._losses.append(losses)
            on_batches(-(-min(start + per_call, len(order)) // batch_size) - skipped)

    def take_losses(self) -> np.ndarray:
        """The loss of each step since the last call of this method, float32, before the step
        changed the weights. Waits until the steps are done."""
        taken = [np.zeros(0, np.float32), *(losses.numpy() for losses in self._losses)]
        self._losses.clear()
        return np.concatenate(taken)

    @property
    def running_loss(self) -> list[float]:
        """The sum and the count whose quotient is the epoch's running loss."""
        return [float(variable) for variable in self._loss_state]

    @running_loss.setter
    def running_loss(self, state: list[float]) -> None:
        for variable, value in zip(self._loss_state, state, strict=True):
            variable.assign(value)

    @property
    def _loss_state(self) -> list[keras.Variable]:
        loss = next(metric for metric in self.model.metrics if metric.name == "loss")
        return list(loss.variables)


class InferenceGraph(TracedGraph):
    """Outputs of a model in inference mode; the model need not be compiled."""

    def __init__(self, model: keras.Model) -> None:
        super().__init__()
        self.model = model

        @tf.autograph.experimental.do_not_convert
        def predict(inputs: tf.Tensor) -> tf.Tensor:
            return tf.cast(model(inputs, training=False), tf.float32)

        self._predict = tf.function(predict, input_signature=[_spec(model)])

    def predict(
        self,
        source: BatchSource,
        on_images: Callable[[int], None] | None = None,
        positions: np.ndarray | None = None,
    ) -> np.ndarray:
        """The model's outputs, (m, ...) float32, for the inputs at these positions, None meaning
        all; `on_images` is called with the number of inputs of each batch that is done."""
        positions = np.arange(len(source)) if positions is None else positions
        outputs = []
        for start in range(0, len(positions), EVALUATION_BATCH):
            chosen = positions[start : start + EVALUATION_BATCH]
            outputs.append(self.predict_batch(source.take(chosen)))
            if on_images:
                on_images(len(chosen))
        return np.concatenate(outputs)

    def predict_batch(self, inputs: np.ndarray) -> np.ndarray:
        """The model's outputs for one batch, (m, ...) float32."""
        return self._timed(self._predict, inputs).numpy()


def epoch_order(images: int, seed: int) -> np.ndarray:
    """The order in which one epoch sees its images: a permutation that the seed alone decides."""
    return np.random.default_rng(seed).permutation(images)


def _spec(model: keras.Model) -> tf.TensorSpec:
    first = model.inputs[0]
    return tf.TensorSpec((None, *first.shape[1:]), first.dtype)
