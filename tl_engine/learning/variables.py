"""A network's variables by index: read for checkpoints, assigned back, found by block, and hashed
to tell which of them a phase changed."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import keras
import numpy as np

from tl_engine.learning.freezing import blocks_of, layers_with_blocks, may_change
from tl_engine.recipe import Recipe

Weights = Mapping[str, np.ndarray]
"""All variables of a network, by index."""


class BlockKeys(NamedTuple):
    """Where a block's variables are, as indices among those of the network: weights that training
    can change, and the moving means and variances of its BatchNormalization layers."""

    weights: list[str]
    means: list[str]
    variances: list[str]


def arrays_of(
    variables: Iterable[keras.Variable], chosen: set[int] | None = None
) -> dict[str, np.ndarray]:
    """Variables by index, or those alone whose `id` is among the chosen: views of their memory,
    which training goes on to change."""
    return {
        f"{index:04d}": np.asarray(variable)
        for index, variable in enumerate(variables)
        if chosen is None or id(variable) in chosen
    }


def copies_of(variables: Iterable[keras.Variable], *same: Weights) -> dict[str, np.ndarray]:
    """Variables by index, as they are now.

    Args:
        same: weights whose arrays are returned instead of a copy where the bits are the same, so
            that a large network is in memory once.
    """

    def copy(key: str, array: np.ndarray) -> np.ndarray:
        equal = (weights[key] for weights in same if _same_bits(weights[key], array))
        found = next(equal, None)
        return array.copy() if found is None else found

    return {key: copy(key, array) for key, array in arrays_of(variables).items()}


def assign(variables: Sequence[keras.Variable], arrays: Weights) -> None:
    """Set variables to the values of a checkpoint.

    Raises:
        ValueError: where number, shape or type differ.
    """
    if len(variables) != len(arrays):
        raise ValueError(f"The network has {len(variables)} variables, got {len(arrays)} arrays.")
    for variable, (index, array) in zip(variables, sorted(arrays.items()), strict=True):
        if tuple(variable.shape) != array.shape or variable.dtype != array.dtype.name:
            raise ValueError(
                f"Variable {index} {variable.path} is {variable.dtype} {tuple(variable.shape)}, "
                f"got {array.dtype} {array.shape}."
            )
        variable.assign(array)


def keys_of(model: keras.Model, variables: Iterable[keras.Variable]) -> list[str]:
    """Indices of variables among those of the network, as `arrays_of` writes them."""
    places = {id(variable): f"{place:04d}" for place, variable in enumerate(model.variables)}
    return [places[id(variable)] for variable in variables]


def head_keys(model: keras.Model) -> list[str]:
    """Indices of the head's kernel and bias."""
    return keys_of(model, model.get_layer("head").weights)


def keys_by_block(model: keras.Model, recipe: Recipe) -> dict[str, BlockKeys]:
    """For each block's title, bottom-up, where its variables are."""
    found = {block.title: BlockKeys([], [], []) for block in blocks_of(recipe)}
    for layer, title in layers_with_blocks(model.body, recipe):
        keys, weights = found[title], keys_of(model, layer.weights)
        if isinstance(layer, keras.layers.BatchNormalization):
            *weights, mean, variance = weights  # the moving statistics are its last
            keys.means.append(mean)
            keys.variances.append(variance)
        keys.weights.extend(weights)
    return found


def parameters(model: keras.Model) -> list[keras.Variable]:
    """All variables but the states of random layers."""
    return [variable for variable in model.variables if not is_seed_state(variable)]


def hashes(model: keras.Model) -> dict[str, str]:
    """The first 16 hex digits of the sha256 of each parameter variable, by its number."""
    return {
        f"{number:04d}": hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()[:16]
        for number, variable in enumerate(parameters(model))
    }


def audit(model: keras.Model, before: dict[str, str]) -> dict[str, int]:
    """What a phase changed, against the hashes of the variables before it: numbers of parameters
    that were free or frozen, and how many of each changed."""
    counts = {"free": 0, "free_changed": 0, "frozen": 0, "frozen_changed": 0}
    allowed, after = may_change(model), hashes(model)
    for variable, name in zip(parameters(model), after, strict=True):
        kind = "free" if id(variable) in allowed else "frozen"
        size = int(np.prod(variable.shape))
        counts[kind] += size
        if after[name] != before.get(name):
            counts[f"{kind}_changed"] += size
    return counts


def reseed(model: keras.Model, seed: int) -> None:
    """Start every random layer afresh; with a seed per epoch no state is carried between them."""
    states = [variable for variable in model.variables if is_seed_state(variable)]
    for index, variable in enumerate(states):
        words = np.random.SeedSequence([seed, index]).generate_state(2)
        variable.assign(words.astype(variable.dtype))


def is_seed_state(variable: keras.Variable) -> bool:
    """Whether it is the state of a random layer, which is no parameter."""
    return bool(variable.path.endswith("seed_generator_state"))


def _same_bits(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether they are the same to the last bit: -0.0 is not 0.0, and a NaN is itself."""
    bits = f"u{first.itemsize}"
    return np.array_equal(first.reshape(-1).view(bits), second.reshape(-1).view(bits))
