"""The history: a tidy frame, one row per epoch."""

from __future__ import annotations

from typing import Any

from tl_engine.recipe import Phase

HISTORY_COLUMNS = (
    "study",
    "arm",
    "seed",
    "run",
    "phase",
    "trainable",
    "epoch",
    "learning_rate",
    "seconds",
    "images",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "cold_seconds",
    "shared",
)
COSTS = ("seconds", "cold_seconds", "shared")
"""What an epoch took depends on what was computed before; nothing else in its line does."""


def epoch_line(
    epoch: int, phase_index: int, phase: Phase, measured: dict[str, float]
) -> dict[str, Any]:
    """A history line: where the epoch stands, and what was measured in it.

    Args:
        measured: losses, accuracies and seconds; cold_seconds, as if nothing had been computed
            before; its learning_rate where a schedule changes it.
    """
    return {
        "epoch": epoch,
        "phase": phase_index,
        "trainable": phase.trainable_label,
        "learning_rate": phase.learning_rate,
        **measured,
    }
