"""Scores of runs: final and best ones, those of pairs, and the best that one may expect of k runs
(Dodge et al. 2019, "Show Your Work")."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.metric import ACCURACY, METRICS, Metric

SCORE_COLUMNS = (
    *("study", "arm", "seed", "run", "epoch"),
    *(metric.final for metric in METRICS.values()),
    *("correct", "total", "low", "high"),
    *("best", "best_epoch", "train_accuracy", "seconds", "cold_seconds"),
)


class Expected(NamedTuple):
    """What an arm (study, name) may be expected to give within a time: the highest final score, as
    a share, of the runs that fit into it, at most as many as the arm has."""

    key: tuple[str, str]
    runs: int
    value: float


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Wilson's 95 % score interval of a share (Wilson 1927).

    Raises:
        ValueError: unless 0 <= correct <= total and total >= 1.
    """
    from scipy.special import ndtri  # scipy.stats, which has it whole, would take 50 MB more

    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"Right must be 0 to {total} of at least one image, got {correct}.")
    z, share = float(ndtri((1 + 0.95) / 2)), correct / total
    middle = share + z**2 / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    low, high = (float((middle + side * half) / (1 + z**2 / total)) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def score_table(history: pd.DataFrame, validation_images: Mapping[str, int]) -> pd.DataFrame:
    """One row per run with SCORE_COLUMNS, given its history, a row per epoch, and how many images
    its validation accuracy counts; a score that was not measured is NaN."""
    if history.empty:
        return pd.DataFrame(columns=list(SCORE_COLUMNS))
    ordered = history.sort_values("epoch", kind="stable")
    grouped, runs = ordered.groupby("run", sort=False), history["run"].unique()
    last = grouped.tail(1).set_index("run").loc[runs]
    best = grouped["val_accuracy"].max()
    is_best = ordered["val_accuracy"] == ordered["run"].map(best)
    totals = pd.Series([validation_images[str(run)] for run in runs], runs)
    correct = (last["val_accuracy"].astype(float) * totals).round()
    bounds = [
        (math.nan, math.nan) if math.isnan(right) else wilson_interval(int(right), total)
        for right, total in zip(correct, totals, strict=True)
    ]
    low, high = np.transpose(bounds)
    table = last.assign(
        **{metric.final: last[metric.name] for metric in METRICS.values()},
        correct=correct,
        total=totals,
        low=low,
        high=high,
        best=best,
        best_epoch=ordered[is_best].groupby("run")["epoch"].min(),
        train_accuracy=last["accuracy"],
        seconds=grouped["seconds"].sum(),
        cold_seconds=grouped["cold_seconds"].sum(),
    )
    return table.reset_index()[list(SCORE_COLUMNS)]


def arm_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per arm: number of seeds with a final score; mean, lowest and highest of the final and best
    scores; means of the times."""
    grouped = table.groupby(["study", "arm"], sort=False)
    return grouped.agg(
        n=("final", "count"),
        mean=("final", "mean"),
        lowest=("final", "min"),
        highest=("final", "max"),
        mean_best=("best", "mean"),
        lowest_best=("best", "min"),
        highest_best=("best", "max"),
        mean_seconds=("seconds", "mean"),
        mean_cold_seconds=("cold_seconds", "mean"),
    ).reset_index()


def finals_of(table: pd.DataFrame, metric: Metric = ACCURACY) -> dict[tuple[str, str], pd.Series]:
    """By (study, arm), the final scores by seed that rows of `score_table` have."""
    scored = table.dropna(subset=metric.final).sort_values("seed")
    return {
        (str(study), str(arm)): rows.set_index("seed")[metric.final].astype(float)
        for (study, arm), rows in scored.groupby(["study", "arm"], sort=False)
    }


def pairs_of(first: pd.Series, second: pd.Series, metric: Metric = ACCURACY) -> pd.DataFrame:
    """Two arms' final scores of `finals_of` in a `pairs_frame`, a row per seed that both have, in
    order of the seeds."""
    seeds, at_first, at_second = np.intersect1d(first.index, second.index, return_indices=True)
    return pairs_frame(seeds, first.to_numpy()[at_first], second.to_numpy()[at_second], metric)


def pairs_frame(
    seeds: Sequence[int] | np.ndarray, first: np.ndarray, second: np.ndarray, metric: Metric
) -> pd.DataFrame:
    """A row per seed: seed, first, second (in the metric's column), and gain, by which the first is
    better."""
    gain = metric.sign * (first - second)
    return pd.DataFrame({"seed": seeds, "first": first, "second": second, "gain": gain})


def expected_best(values: pd.Series | np.ndarray) -> np.ndarray:
    """(n,) expected highest of k = 1 to n values drawn with replacement from n, none NaN (Dodge et
    al. 2019, section 3.2): the sum of each value times the chance that it is the highest."""
    ranked = np.sort(np.asarray(values, float))
    at_most = np.arange(len(ranked) + 1) / len(ranked)
    draws = np.arange(1, len(ranked) + 1)[:, None]
    return np.diff(at_most**draws, axis=1) @ ranked


def budget_curve(table: pd.DataFrame) -> pd.DataFrame:
    """The expected best of each arm against the time that so many runs take one after another:
    columns study, arm, runs (k), seconds (k times the arm's mean cold seconds per run) and value
    (the expected best of k), of those finished runs in a `score_table` that have a score and a
    time."""
    rows = []
    complete = table.dropna(subset=["final", "cold_seconds"])
    for (study, arm), of_arm in complete.groupby(["study", "arm"], sort=False):
        seconds, best = of_arm["cold_seconds"].mean(), expected_best(of_arm["final"])
        rows += [(study, arm, k, k * seconds, value) for k, value in enumerate(best, start=1)]
    return pd.DataFrame(rows, columns=["study", "arm", "runs", "seconds", "value"])


def best_within(curve: pd.DataFrame, seconds: float) -> list[Expected]:
    """What each arm of a `budget_curve` may be expected to give within so many seconds, the best
    first; arms of which no run fits are left out."""
    fitting = curve[curve["seconds"] <= seconds]
    last = fitting.groupby(["study", "arm"], sort=False).tail(1)
    rows = last[["study", "arm", "runs", "value"]].to_numpy(object)
    found = [Expected((study, arm), int(runs), float(value)) for study, arm, runs, value in rows]
    return sorted(found, key=lambda expected: -expected.value)
