"""What a curve may show: means over seeds, along one of several axes, and of many points those that
can be seen."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
import pandas as pd


class Axis(NamedTuple):
    """What learning curves can be drawn against: its title below the chart, and where it is chosen;
    the column of what each epoch adds, empty for the number of the epoch."""

    title: str
    short: str
    column: str


AXES = {
    "epoch": Axis("Epoch", "Epochs", ""),
    "images": Axis("Training images seen", "Images seen", "images"),
    "steps": Axis("Optimizer steps", "Steps", "steps"),
    "forward_equivalents": Axis(
        "Forward-equivalents: a step costs 1 per image for a head, 3 for all",
        "Forward-equivalents",
        "forward_equivalents",
    ),
    "seconds": Axis(
        "Seconds of training and measuring, nothing computed before",
        "Training time in seconds",
        "cold_seconds",
    ),
}
WORK = ("steps", "forward_equivalents")
"""Axes whose columns `analysis.budgets.per_epoch` adds to a history."""


def with_axes(history: pd.DataFrame) -> pd.DataFrame:
    """The history with a column x_NAME for each of AXES of which it has the column: what each run
    has spent so far.

    Seconds are those of a run that finds nothing computed, so that no arm looks cheap because
    another one did its work. After an epoch whose cost is NaN, what the run has spent is NaN too.
    """
    ordered = history.sort_values(["study", "arm", "seed", "run", "epoch"], kind="stable")
    columns = {f"x_{name}": axis.column for name, axis in AXES.items() if axis.column in ordered}
    # An empty history's columns are objects, which cannot be added up.
    costs = ordered[list(columns.values())].astype(float)
    spent = costs.groupby(ordered["run"], sort=False).cumsum(skipna=False)
    return ordered.assign(
        x_epoch=ordered["epoch"], **{name: spent[column] for name, column in columns.items()}
    )


def mean_curves(history: pd.DataFrame, metric: str, x: str) -> pd.DataFrame:
    """The mean per arm and epoch, over epochs that every seed of the arm has reached: columns
    study, arm, epoch, x (the mean of its seeds' places on one of AXES), value and n.

    Where some seeds are further than others, a mean over those that are would change its members
    along the curve and jump; so it ends where the slowest seed ends. A seed counts from its first
    epoch on, whatever became of it. For the same reason the mean is NaN where a seed's value is.
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
    """Positions (k,), rising, of the values (n,) to draw: all, or at most so many, at least 5.

    These are the first and the last, and of each of equal stretches the lowest, the highest and a
    NaN, so that a thinned curve reaches as far as the whole one and breaks where that does.
    """
    if len(values) <= most:
        return np.arange(len(values))
    places = {0, len(values) - 1}
    for begin, end in pairwise(np.linspace(0, len(values), (most - 2) // 3 + 1).astype(int)):
        missing = np.isnan(values[begin:end])
        if missing.any():
            places.add(begin + int(missing.argmax()))
        if not missing.all():
            places.add(begin + int(np.nanargmin(values[begin:end])))
            places.add(begin + int(np.nanargmax(values[begin:end])))
    return np.array(sorted(places))
