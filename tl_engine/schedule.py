"""What the next epoch of a run is, and its learning rate: pure functions of recipe and history.

Nothing else decides them, so a run that died goes on exactly as if it had not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tl_engine.recipe import Phase, Recipe


class Next(NamedTuple):
    """The epoch to train next.

    Attributes:
        epoch: 1-based, continuous over phases.
        phase: index of its phase.
        number: 1-based, within its phase.
    """

    epoch: int
    phase: int
    number: int


def next_epoch(recipe: Recipe, history: Sequence[Mapping[str, Any]]) -> Next | None:
    """The epoch after those of the history; None where every phase is over.

    Args:
        history: the run's lines so far, oldest first, each with phase and val_loss.
    """
    phase = history[-1]["phase"] if history else 0
    losses = [line["val_loss"] for line in history if line["phase"] == phase]
    if is_over(recipe.phases[phase], losses):
        phase, losses = phase + 1, []
    if phase == len(recipe.phases):
        return None
    return Next(len(history) + 1, phase, len(losses) + 1)


def is_over(phase: Phase, losses: Sequence[float]) -> bool:
    """Whether the phase has had its epochs, or waited long enough for a lower validation loss.

    Args:
        losses: validation loss after each of the phase's epochs so far.
    """
    if len(losses) >= phase.epochs:
        return True
    if phase.patience is None or not losses:
        return False
    return len(losses) - 1 - losses.index(min(losses)) >= phase.patience


def learning_rate(phase: Phase, number: int) -> float:
    """The learning rate of the phase's epoch `number` (1-based).

    The cosine is that of Loshchilov and Hutter (2017), SGDR, without restarts, towards 0: it
    begins at the phase's rate, and would reach 0 after its last epoch.
    """
    if phase.schedule == "constant":
        return phase.learning_rate
    return phase.learning_rate * (1 + math.cos(math.pi * (number - 1) / phase.epochs)) / 2
