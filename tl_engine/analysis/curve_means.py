"""What a curve may show: means over seeds, and of many points those that can be seen."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd


class Axis(NamedTuple):
    """What a curve is drawn against: a short label, for a choice, and a title with its unit."""

    label: str
    title: str


AXES = {
    "epoch": Axis("Epochs", "Epoch"),
    "images": Axis("Images seen", "Training images seen"),
    "steps": Axis("Steps", "Optimizer steps"),
    "forward_equivalents": Axis(
        "Forward-equivalents",
        "Forward-equivalents: a step costs 1 per image for a head, 3 for all",
    ),
    "seconds": Axis(
        "Training time in seconds", "Seconds of training and measuring, nothing computed before"
    ),
}
SPENT = {"x_images": "images", "x_seconds": "cold_seconds"}
WORK = ("steps", "forward_equivalents")
"""Columns that `analysis.budgets.per_epoch` adds."""


def with_axes(history: pd.DataFrame) -> pd.DataFrame:
    """The history with `x_epoch`, `x_images` and `x_seconds`: what each run has spent so far; and
    with `x_steps` and `x_forward_equivalents` where it says what these are of each epoch.

    Seconds are those of a run that finds nothing computed, so that no arm looks cheap because
    another one did its work. After an epoch whose cost is NaN, what the run has spent is NaN too.
    """
    ordered = history.sort_values(["study", "arm", "seed", "run", "epoch"], kind="stable")
    # An empty history's columns are objects, which cannot be added up.
    columns = SPENT | {f"x_{name}": name for name in WORK if name in ordered}
    costs = ordered[list(columns.values())].astype(float)
    spent = costs.groupby(ordered["run"], sort=False).cumsum(skipna=False)
    return ordered.assign(
        x_epoch=ordered["epoch"], **{axis: spent[name] for axis, name in columns.items()}
    )


def mean_curves(history: pd.DataFrame, metric: str, x: str) -> pd.DataFrame:
    """The mean per arm and epoch, over epochs that every seed of the arm has reached.

    Where some seeds are further than others, a mean over those that are would change its members
    along the curve and jump; so it ends where the slowest seed ends. A seed counts from its first
    epoch on, whatever became of it. For the same reason the mean is NaN where a seed's value is.

    Args:
        x: one of AXES; for all but epochs the mean's place is the mean of its seeds' places.

    Returns:
        Columns study, arm, epoch, x, value, n.
    """
    spent = with_axes(history)
    seeds = spent.groupby(["study", "arm"])["run"].nunique()
    values = spent.assign(x=spent[f"x_{x}"].astype(float), value=spent[metric].astype(float))
    epochs = values.groupby(["study", "arm", "epoch"], sort=False)
    means = epochs[["x", "value"]].mean(skipna=False).assign(n=epochs["run"].nunique())
    means = means.reset_index()
    every = [seeds[study, arm] for study, arm in zip(means["study"], means["arm"], strict=True)]
    return means[means["n"] == every].reset_index(drop=True)


def thinned(values: np.ndarray, most: int) -> np.ndarray:
    """Positions (k,), rising, of the values (n,) to draw: all, or at most so many.

    Kept are the first and the last, and of each of equal stretches the lowest, the highest and a
    NaN, so that a thinned curve reaches as far as the whole one and breaks where that does.

    Args:
        most: at least 5.
    """
    if len(values) <= most:
        return np.arange(len(values))
    kept = {0, len(values) - 1}
    for begin, end in pairwise(np.linspace(0, len(values), (most - 2) // 3 + 1).astype(int)):
        missing = np.isnan(values[begin:end])
        if missing.any():
            kept.add(begin + int(missing.argmax()))
        if not missing.all():
            kept.add(begin + int(np.nanargmin(values[begin:end])))
            kept.add(begin + int(np.nanargmax(values[begin:end])))
    return np.array(sorted(kept))
