"""What the next epoch of a run is: a pure function of its recipe and its history.

Nothing else decides it, so a run that died goes on exactly as if it had not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from tl_engine.recipe import Recipe


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
        history: the run's lines so far, oldest first.
    """
    phase = history[-1]["phase"] if history else 0
    done = sum(line["phase"] == phase for line in history)
    if done >= recipe.phases[phase].epochs:
        phase, done = phase + 1, 0
    if phase == len(recipe.phases):
        return None
    return Next(len(history) + 1, phase, done + 1)
