"""The audit: which parameters a phase changed, by hashes of all of them before and after."""

from __future__ import annotations

import hashlib

import keras
import numpy as np

from tl_engine.learning.freezing import may_change
from tl_engine.learning.variables import parameters


def audit(model: keras.Model, before: dict[str, str]) -> dict[str, int]:
    """What a phase changed, against the hashes of the variables before it.

    Returns:
        Numbers of parameters: free, frozen, and how many of each changed.
    """
    counts = {"free": 0, "free_changed": 0, "frozen": 0, "frozen_changed": 0}
    allowed, after = may_change(model), hashes(model)
    for variable, name in zip(parameters(model), after, strict=True):
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
        for number, variable in enumerate(parameters(model))
    }
