"""Final and best scores of runs, with what their counts allow."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from tl_engine.metric import ACCURACY, Metric

SCORE_COLUMNS = (
    *("study", "arm", "seed", "run", "epoch"),
    *("final", "final_loss", "correct", "total", "low", "high"),
    *("best", "best_epoch", "train_accuracy", "seconds", "cold_seconds"),
)


def wilson_interval(correct: int, total: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927).

    Raises:
        ValueError: unless 0 <= correct <= total and total >= 1.
    """
    from scipy.special import ndtri  # scipy.stats, which has it whole, would take 50 MB more

    if not 0 <= correct <= total or total < 1:
        raise ValueError(f"Right must be 0 to {total} of at least one image, got {correct}.")
    z, share = float(ndtri((1 + confidence) / 2)), correct / total
    middle = share + z**2 / (2 * total)
    half = z * math.sqrt(share * (1 - share) / total + (z / (2 * total)) ** 2)
    low, high = (float((middle + side * half) / (1 + z**2 / total)) for side in (-1, 1))
    return max(low, 0.0), min(high, 1.0)


def score_table(history: pd.DataFrame, validation_images: Mapping[str, int]) -> pd.DataFrame:
    """One row per run with SCORE_COLUMNS; a score that was not measured is NaN.

    Args:
        history: one row per epoch.
        validation_images: how many images each run's validation accuracy counts.
    """
    if history.empty:
        return pd.DataFrame(columns=list(SCORE_COLUMNS))
    ordered = history.sort_values("epoch", kind="stable")
    grouped, runs = ordered.groupby("run", sort=False), history["run"].unique()
    last = grouped.tail(1).set_index("run").loc[runs]
    best = grouped["val_accuracy"].max()
    is_best = ordered["val_accuracy"] == ordered["run"].map(best)
    totals = pd.Series([validation_images[str(run)] for run in runs], runs)
    correct = (last["val_accuracy"].astype(float) * totals).round()
    intervals = [_interval(*counts) for counts in zip(correct, totals, strict=True)]
    table = last.assign(
        final=last["val_accuracy"],
        final_loss=last["val_loss"],
        correct=correct,
        total=totals,
        low=[low for low, _ in intervals],
        high=[high for _, high in intervals],
        best=best,
        best_epoch=ordered[is_best].groupby("run")["epoch"].min(),
        train_accuracy=last["accuracy"],
        seconds=grouped["seconds"].sum(),
        cold_seconds=grouped["cold_seconds"].sum(),
    )
    return table.reset_index()[list(SCORE_COLUMNS)]


def _interval(correct: float, total: int) -> tuple[float, float]:
    return (math.nan, math.nan) if math.isnan(correct) else wilson_interval(int(correct), total)


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
    """By (study, arm), the final scores by seed that are known.

    Args:
        table: rows of `score_table`.
    """
    scored = table.dropna(subset=metric.final).sort_values("seed")
    return {
        (str(study), str(arm)): rows.set_index("seed")[metric.final].astype(float)
        for (study, arm), rows in scored.groupby(["study", "arm"], sort=False)
    }


def pairs_of(first: pd.Series, second: pd.Series, metric: Metric = ACCURACY) -> pd.DataFrame:
    """Two arms' final scores, a row per seed that both have, in order of the seeds.

    Args:
        first, second: scores by seed, as `finals_of` returns them.

    Returns:
        Columns seed, first, second, in the metric's column; and gain, by which the first is
        better.
    """
    seeds, at_first, at_second = np.intersect1d(first.index, second.index, return_indices=True)
    return pairs_frame(seeds, first.to_numpy()[at_first], second.to_numpy()[at_second], metric)


def pairs_frame(
    seeds: Sequence[int] | np.ndarray, first: np.ndarray, second: np.ndarray, metric: Metric
) -> pd.DataFrame:
    """A row per seed: seed, first, second (scores), gain (by which the first is better)."""
    gain = metric.sign * (first - second)
    return pd.DataFrame({"seed": seeds, "first": first, "second": second, "gain": gain})
