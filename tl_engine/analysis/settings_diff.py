"""The settings in which arms differ, and only those."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from tl_engine.catalog.settings import OPTIMIZERS

MISSING = "–"
MOST_COLUMNS = 4
"""Arms beside one another; more would not fit on a page."""


def differences(named: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row for each setting that is not the same in all arms, a column per arm.

    Args:
        named: per arm its settings as plain data; phases become a phrase per position, settings
            within settings a path such as "augmentation · flip".
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


def narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences with a row per arm where there are many arms, so that they fit on a page."""
    return frame if len(frame.columns) <= MOST_COLUMNS else frame.T.rename_axis("Arm")


def _readable(settings: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for name, value in settings.items():
        if name == "phases":
            for position, phase in enumerate(value, start=1):
                lines[f"phase {position}"] = _phrase(phase)
        elif isinstance(value, Mapping):
            within = _readable(value).items()
            lines |= {f"{name.replace('_', ' ')} · {inner}": word for inner, word in within}
        else:
            lines[name.replace("_", " ")] = _word(value)
    return lines


def _phrase(phase: Mapping[str, Any]) -> str:
    trainable = phase["trainable"]
    blocks = "1 block" if trainable == 1 else f"{trainable} blocks"
    layers = {"head": "head only", "all": "all layers"}.get(trainable, f"top {blocks}")
    epochs = f"{phase['epochs']} epoch" + ("s" if phase["epochs"] > 1 else "")
    optimizer = OPTIMIZERS[phase["optimizer"]]
    words = [layers, epochs, f"{optimizer} at {_word(float(phase['learning_rate']))}"]
    if phase.get("schedule", "constant") != "constant":
        words[-1] += " falling along a cosine"
    if patience := phase.get("patience"):
        words.append(f"at most {patience} without gain")
    return ", ".join(words)


def _word(value: Any) -> str:
    words = {True: "on", False: "off", None: "all"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, float):  # every digit: a rounded number would hide a difference
        return str(value).removesuffix(".0").replace("e-0", "e-")
    return str(value)
