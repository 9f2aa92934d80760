"""The losses of a phase's first and last steps: what happens when one phase follows another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

EDGE = 50
"""Steps at either end of a phase whose losses are kept."""

Steps = dict[str, list[float]]
"""The losses of a phase's "first" and "last" steps, at most EDGE of each, in order."""


class Spike(NamedTuple):
    """How training went on after a switch of phases.

    Attributes:
        height: the highest loss of the first steps minus the median of the last ones before.
        recovered: the first step of the phase, from 1, from which on five steps in a row have a
            mean loss of at most that median; None where the first steps hold none.
    """

    height: float
    recovered: int | None


RUN_LENGTH = 5


def kept(known: Mapping[str, Sequence[float]], fresh: Iterable[float]) -> Steps:
    """What is kept of a phase's steps after a few more of them.

    Args:
        known: what was kept so far; empty when the phase begins.
        fresh: losses of the steps since; six digits of each are kept.
    """
    more = [float(f"{loss:.6g}") for loss in fresh]
    first = [*known.get("first", []), *more][:EDGE]
    return {"first": first, "last": [*known.get("last", []), *more][-EDGE:]}


def spike(before: Sequence[float], after: Sequence[float]) -> Spike | None:
    """What the switch did; None where either side has no steps.

    Args:
        before: losses of the last steps of the phase before.
        after: of the first steps of the phase that follows.
    """
    if not before or not after:
        return None
    usual = float(np.median(before))
    means = np.convolve(after, np.ones(RUN_LENGTH) / RUN_LENGTH, "valid")
    back = np.flatnonzero(means <= usual) if len(after) >= RUN_LENGTH else np.array([], int)
    return Spike(float(max(after)) - usual, int(back[0]) + 1 if len(back) else None)
