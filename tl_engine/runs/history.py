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
"""Columns that depend on what was cached; no other column does."""


def epoch_line(
    epoch: int, phase_index: int, phase: Phase, measured: dict[str, float]
) -> dict[str, Any]:
    """A line of the history: the epoch's place, and what was measured in it.

    Args:
        measured: losses, accuracies and seconds; cold_seconds, if nothing had been cached; its
            learning_rate where a schedule changes it.
    """
    return {
        "epoch": epoch,
        "phase": phase_index,
        "trainable": phase.trainable_label,
        "learning_rate": phase.learning_rate,
        **measured,
    }
