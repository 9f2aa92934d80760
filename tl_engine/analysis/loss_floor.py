"""The lowest loss that any backbone can reach through a head that is fed by a softmax.

Such a head sees 1000 shares that sum to 1, so its logits are a mean of the kernel's rows: while
the kernel is small, whatever the backbone does, no class can be told with confidence.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from tl_engine.catalog.backbones import IMAGENET_CLASSES
from tl_engine.recipe import Phase, Recipe

STEPS, GAP = 500, 1e-4
HIGH = float(np.log(2))
"""A floor above it leaves even the right class less than even odds."""
SGD_REACH = 10.0
"""Momentum 0.9 adds up steps; each is at most the learning rate, since the inputs sum to 1."""


def loss_floor(kernel: np.ndarray, bias: np.ndarray, reach: float = 0.0) -> float:
    """The lowest mean cross-entropy over equally frequent classes, each fed its best input.

    For each class log p is concave in the input, so Frank-Wolfe (Jaggi 2013) finds its maximum
    over the simplex. Each weight of kernel (inputs, classes) and bias (classes,) can still move by
    `reach`: at best every row moves for the class that uses it and against all others.
    """
    from scipy.special import softmax

    classes = kernel.shape[1]
    margin = 2 * reach * np.eye(classes)
    kernel, bias = kernel.astype(np.float64), bias.astype(np.float64)
    of_others = (kernel.sum(axis=1, keepdims=True) - kernel) / max(classes - 1, 1)
    inputs = np.zeros((classes, len(kernel)))
    inputs[np.arange(classes), (kernel - of_others).argmax(axis=0)] = 1.0
    for step in range(STEPS):
        shares = softmax(inputs @ kernel + bias + margin, axis=1)
        slope = kernel.T - shares @ kernel.T
        best = slope.argmax(axis=1)
        gaps = slope[np.arange(classes), best] - (slope * inputs).sum(axis=1)
        if gaps.mean() < GAP:
            break
        pace = 2.0 / (step + 2.0) if step else 0.5
        inputs *= 1 - pace
        inputs[np.arange(classes), best] += pace
    logits = inputs @ kernel + bias + margin
    return float(-np.log(np.diagonal(softmax(logits, axis=1))).mean())


def reach_of(phase: Phase, steps_per_epoch: int) -> float:
    """How far a phase can move a weight of such a head: Adam and its relatives by about the
    learning rate in each step."""
    rates = sum(phase.learning_rate_at(number) for number in range(1, phase.epochs + 1))
    return rates * steps_per_epoch * (SGD_REACH if phase.optimizer == "sgd" else 1.0)


def floor_warning(recipe: Recipe) -> str:
    """A sentence where the first phase cannot bring the loss down, whatever the backbone learns;
    empty otherwise."""
    if recipe.head_input != "softmax":
        return ""
    phase, classes = recipe.phases[0], recipe.described_dataset.classes
    steps = -(-recipe.training_images // recipe.batch_size)
    floor = _floor_of_new_head(classes, reach_of(phase, steps))
    if floor < HIGH:
        return ""
    rate = f"{phase.learning_rate:g}".replace("e-0", "e-")
    return (
        f"A softmax feeds the head: in phase 1, {phase.epochs * steps:,} steps at {rate}, no "
        f"backbone can bring the loss below {floor:.2f}; guessing has {np.log(classes):.2f}. "
        "Pooled features as head input have no such floor."
    )


@lru_cache(maxsize=64)
def _floor_of_new_head(classes: int, reach: float) -> float:
    """Of a head as it is drawn: Glorot-uniform (Glorot and Bengio 2010), like Keras' own."""
    limit = np.sqrt(6 / (IMAGENET_CLASSES + classes))
    kernel = np.random.default_rng(0).uniform(-limit, limit, (IMAGENET_CLASSES, classes))
    return loss_floor(kernel, np.zeros(classes), reach)
