"""What a phase's first step tells of its gradients, read off the optimizer: nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tl_engine.analysis import readout
from tl_engine.learning import model as networks
from tl_engine.learning.activations import Arrays
from tl_engine.recipe import Phase, Recipe


def of_first_step(
    model: keras.Model, trained: keras.Model, recipe: Recipe, phase: Phase, began: Arrays
) -> list[dict[str, Any]]:
    """The gradient of the first batch's loss, for each block that the phase trains, bottom-up, and
    for the head.

    Args:
        model: the whole network.
        trained: what was compiled for the phase, exactly one step ago.
        began: the network's weights before that step.

    Returns:
        title, "gradient", its Frobenius norm, and "relative", that over the norm of the weights:
        how much the block wants to move (Lee et al. 2023, RGN); None where weights are zero.
        Nothing where the step was left out because scaled gradients overflowed.
    """
    inner = getattr(trained.optimizer, "inner_optimizer", trained.optimizer)
    if not int(inner.iterations):
        return []
    taken = _gradients(inner, phase)
    norms = {id(v): g for v, g in zip(trained.trainable_variables, taken, strict=True)}
    variables, told = model.variables, []
    head = networks.keys_of(model, model.get_layer("head").weights)
    blocks = {title: keys.weights for title, keys in networks.keys_by_block(model, recipe).items()}
    for title, keys in {**blocks, "Head": head}.items():
        free = [key for key in keys if id(variables[int(key)]) in norms]
        if free:
            gradient = float(np.hypot.reduce([norms[id(variables[int(key)])] for key in free]))
            relative = readout.relative(gradient, readout.norm([began[key] for key in free]))
            told.append(_plain({"title": title, "gradient": gradient, "relative": relative}))
    return told


def _gradients(inner: keras.optimizers.Optimizer, phase: Phase) -> list[float]:
    """The norm of each variable's gradient, from what one step has left of it."""
    if phase.optimizer == "rmsprop":
        share = 1 - inner.rho
        return [float(np.sqrt(np.asarray(v).sum(dtype=float) / share)) for v in inner._velocities]
    rate = float(inner.learning_rate)
    held, scale = (inner.momentums, rate) if phase.optimizer == "sgd" else (inner._momentums, 0.0)
    return [readout.norm([np.asarray(m)]) / (scale or 1 - inner.beta_1) for m in held]


def _plain(told: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str) or np.isfinite(v) else None for k, v in told.items()}
