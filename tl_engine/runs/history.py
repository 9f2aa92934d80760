"""The history: a tidy frame, one row per epoch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pandas as pd

from tl_engine.recipe import Phase

if TYPE_CHECKING:
    from tl_engine.runs.run import Run

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
)


def epoch_line(
    epoch: int, phase_index: int, phase: Phase, measured: dict[str, float]
) -> dict[str, Any]:
    """A history line: where the epoch stands, and what was measured in it."""
    return {
        "epoch": epoch,
        "phase": phase_index,
        "trainable": phase.trainable_label,
        "learning_rate": phase.learning_rate,
        **measured,
    }


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none."""
    frames = [frame for run in runs if not (frame := run.history()).empty]
    if not frames:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.concat(frames, ignore_index=True)
