"""Means over seeds that a curve may show."""

from __future__ import annotations

import pandas as pd

AXES = ("epoch", "images", "seconds")


def with_axes(history: pd.DataFrame) -> pd.DataFrame:
    """The history with `x_epoch`, `x_images` and `x_seconds`: what each run has spent so far."""
    ordered = history.sort_values(["study", "arm", "seed", "run", "epoch"], kind="stable")
    runs = ordered.groupby("run", sort=False)
    return ordered.assign(
        x_epoch=ordered["epoch"],
        x_images=runs["images"].cumsum(),
        x_seconds=runs["seconds"].cumsum(),
    )


def mean_curves(history: pd.DataFrame, metric: str, x: str) -> pd.DataFrame:
    """The mean per arm and epoch, over epochs that every seed of the arm has reached.

    Where some seeds are further than others, a mean over those that are would change its members
    along the curve and jump; so it ends where the slowest seed ends.

    Args:
        x: one of AXES; for images and seconds the mean's place is the mean of its seeds' places.

    Returns:
        Columns study, arm, epoch, x, value, n.
    """
    spent = with_axes(history)
    seeds = spent.groupby(["study", "arm"])["run"].nunique()
    means = (
        spent.groupby(["study", "arm", "epoch"], sort=False)
        .agg(x=(f"x_{x}", "mean"), value=(metric, "mean"), n=("run", "nunique"))
        .reset_index()
    )
    every = [seeds[study, arm] for study, arm in zip(means["study"], means["arm"], strict=True)]
    return means[means["n"] == every].reset_index(drop=True)
