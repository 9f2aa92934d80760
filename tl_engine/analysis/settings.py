"""The settings in which arms differ, and only those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

MISSING = "–"
OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "rmsprop": "RMSprop", "sgd": "SGD"}
"""What the optimizers are called."""


def differences(named: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row for each setting that is not the same in all arms, a column per arm.

    Args:
        named: per arm its settings as plain data; phases become a phrase per position.
    """
    readable = {name: _readable(settings) for name, settings in named.items()}
    settings = dict.fromkeys(name for values in readable.values() for name in values)
    rows = {
        setting: [values.get(setting, MISSING) for values in readable.values()]
        for setting in settings
    }
    differing = {name: values for name, values in rows.items() if len(set(values)) > 1}
    frame = pd.DataFrame.from_dict(differing, orient="index", columns=list(readable), dtype=str)
    frame.index.name = "setting"
    return frame


def _readable(settings: Mapping[str, Any]) -> dict[str, str]:
    lines = {}
    for name, value in settings.items():
        if name == "phases":
            for position, phase in enumerate(value, start=1):
                lines[f"phase {position}"] = _phrase(phase)
        else:
            lines[name.replace("_", " ")] = _word(value)
    return lines


def _phrase(phase: Mapping[str, Any]) -> str:
    trainable = phase["trainable"]
    layers = {"head": "head only", "all": "all layers"}.get(trainable, f"top {trainable} blocks")
    epochs = f"{phase['epochs']} epoch" + ("s" if phase["epochs"] > 1 else "")
    rate = f"{phase['learning_rate']:g}".replace("e-0", "e-")
    return f"{layers}, {epochs}, {OPTIMIZERS[phase['optimizer']]} at {rate}"


def _word(value: Any) -> str:
    words = {True: "on", False: "off", None: "all"}
    return words[value] if value is None or isinstance(value, bool) else str(value)
