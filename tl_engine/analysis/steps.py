"""The losses of a phase's first and last steps: what happens when one phase follows another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

EDGE = 50
"""Steps at either end of a phase whose losses are recorded; those on a few images are left out."""

Steps = dict[str, list[float]]
"""The losses of a phase's "first" and "last" steps, at most EDGE of each, in order."""


class Spike(NamedTuple):
    """How training went on after a switch of phases, in means of ROW steps in a row.

    Attributes:
        height: the highest of the first NEAR steps minus the highest of the last NEAR before, so
            that noise alone gives 0 on average.
        recovered: the first step of the phase, from 1, from which on the mean is at most the median
            of those before; None where that is none of the first steps.
    """

    height: float
    recovered: int | None


ROW, NEAR = 5, 25
"""Steps of a mean, so that one batch is no spike; and how near to the switch one is looked for."""


def first_and_last(steps: Mapping[str, Sequence[float]], fresh: Iterable[float]) -> Steps:
    """A phase's first and last steps after a few more of them.

    Args:
        steps: the first and last so far; empty when the phase begins.
        fresh: losses of the steps since, which are rounded to six digits.
    """
    more = [float(f"{loss:.6g}") for loss in fresh]
    first = [*steps.get("first", []), *more][:EDGE]
    return {"first": first, "last": [*steps.get("last", []), *more][-EDGE:]}


def spike(before: Sequence[float], after: Sequence[float]) -> Spike | None:
    """What the switch did; None where either side has too few steps.

    Args:
        before: losses of the last steps of the phase before. Of a short phase these are all, of
            which the first half is left out: it tells how that phase itself began.
        after: of the first steps of the phase that follows.
    """
    earlier, later = _means(before[len(before) // 2 :][-NEAR:]), _means(after)
    if not len(earlier) or not len(later):
        return None
    height = float(later[: NEAR - ROW + 1].max() - earlier.max())
    back = np.flatnonzero(later <= np.median(earlier))
    return Spike(height, int(back[0]) + 1 if len(back) else None)


def _means(losses: Sequence[float]) -> np.ndarray:
    return np.convolve(losses, np.ones(ROW) / ROW, "valid") if len(losses) >= ROW else np.zeros(0)
