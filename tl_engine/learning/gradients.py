"""The gradients of a phase's first step, read from the optimizer's state at no cost."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tl_engine.analysis import measures
from tl_engine.learning.scoring import finite_or_none
from tl_engine.learning.variables import Weights, head_keys, keys_by_block, keys_of
from tl_engine.recipe import Phase, Recipe


def of_first_step(
    model: keras.Model, trained: keras.Model, recipe: Recipe, phase: Phase, start: Weights
) -> list[dict[str, Any]]:
    """The gradient of the first batch's loss, for each block that the phase trains, bottom-up, and
    for the head.

    Args:
        model: the whole network.
        trained: what was compiled for the phase, exactly one step ago.
        start: the network's weights before that step.

    Returns:
        title, "gradient", its Frobenius norm, and "relative", that over the norm of the weights:
        how much the block wants to move (Lee et al. 2023, RGN); None where weights are zero.
        Nothing where the step was left out because scaled gradients overflowed.
    """
    optimizer = getattr(trained.optimizer, "inner_optimizer", trained.optimizer)
    if not int(optimizer.iterations):
        return []
    trained_keys = keys_of(model, trained.trainable_variables)
    norms = dict(zip(trained_keys, _gradient_norms(optimizer, phase), strict=True))
    blocks = {title: keys.weights for title, keys in keys_by_block(model, recipe).items()}
    rows = []
    for title, keys in {**blocks, "Head": head_keys(model)}.items():
        free = [key for key in keys if key in norms]
        if free:
            gradient = float(np.hypot.reduce([norms[key] for key in free]))
            relative = measures.relative(gradient, measures.norm([start[key] for key in free]))
            numbers = {"gradient": finite_or_none(gradient), "relative": finite_or_none(relative)}
            rows.append({"title": title, **numbers})
    return rows


def _gradient_norms(optimizer: keras.optimizers.Optimizer, phase: Phase) -> list[float]:
    """The norm of each variable's gradient, from the optimizer's state after one step."""
    if phase.optimizer == "rmsprop":
        share = 1 - optimizer.rho
        velocities = optimizer._velocities
        return [float(np.sqrt(np.asarray(v).sum(dtype=float) / share)) for v in velocities]
    if phase.optimizer == "sgd":
        momentums, scale = optimizer.momentums, float(optimizer.learning_rate)
    else:
        momentums, scale = optimizer._momentums, 1 - optimizer.beta_1
    return [measures.norm([np.asarray(m)]) / scale for m in momentums]
