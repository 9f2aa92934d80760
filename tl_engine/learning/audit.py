"""The audit: which parameters a phase changed, told by hashing every one of them."""

from __future__ import annotations

import hashlib

import keras
import numpy as np

from tl_engine.learning import model as networks


def audit(model: keras.Model, before: dict[str, str]) -> dict[str, int]:
    """What a phase changed, against the hashes of the variables before it.

    Returns:
        Numbers of parameters: free, frozen, and how many of each changed.
    """
    counts = {"free": 0, "free_changed": 0, "frozen": 0, "frozen_changed": 0}
    allowed, after = networks.may_change(model), hashes(model)
    for variable, name in zip(networks.parameters(model), after, strict=True):
        kind = "free" if id(variable) in allowed else "frozen"
        size = int(np.prod(variable.shape))
        counts[kind] += size
        if after[name] != before.get(name):
            counts[f"{kind}_changed"] += size
    return counts


def hashes(model: keras.Model) -> dict[str, str]:
    """The first 16 hex digits of the sha256 of each parameter variable, by its number."""
    return {
        f"{number:04d}": hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()[:16]
        for number, variable in enumerate(networks.parameters(model))
    }
