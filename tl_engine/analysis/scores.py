"""Final and best scores of runs, with what their counts allow."""

from __future__ import annotations

import math
from collections.abc import Mapping

import pandas as pd

from tl_engine.metric import ACCURACY, Metric

SCORE_COLUMNS = (
    "study",
    "arm",
    "seed",
    "run",
    "epoch",
    "final",
    "final_loss",
    "correct",
    "total",
    "low",
    "high",
    "best",
    "best_epoch",
    "train_accuracy",
    "seconds",
    "cold_seconds",
)
FINAL = {"val_accuracy": "final", "val_loss": "final_loss"}
"""By metric, the column of a run's last epoch."""


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
    rows = [
        _row(epochs.sort_values("epoch"), validation_images[str(run)])
        for run, epochs in history.groupby("run", sort=False)
    ]
    return pd.DataFrame(rows, columns=list(SCORE_COLUMNS))


def arm_summary(table: pd.DataFrame) -> pd.DataFrame:
    """Per arm: number of seeds with a final score, and mean, lowest and highest of the final and
    best scores."""
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
    ).reset_index()


def paired_scores(
    table: pd.DataFrame,
    first: tuple[str, str],
    second: tuple[str, str],
    metric: Metric = ACCURACY,
) -> pd.DataFrame:
    """The final scores of two arms, a row per seed that both have, in order of the seeds.

    Args:
        table: rows of `score_table`.
        first, second: (study, arm).

    Returns:
        Columns seed, first, second, in the metric's column; and gain, by which the first is
        better.
    """
    finals = {}
    for column, (study, arm) in {"first": first, "second": second}.items():
        ours = table[(table["study"] == study) & (table["arm"] == arm)]
        finals[column] = ours.set_index("seed")[FINAL[metric.name]].astype(float)
    pairs = pd.DataFrame(finals).dropna().sort_index()
    pairs["gain"] = metric.sign * (pairs["first"] - pairs["second"])
    return pairs.rename_axis("seed").reset_index()


def _row(epochs: pd.DataFrame, total: int) -> dict[str, object]:
    last = epochs.iloc[-1]
    measured = epochs.dropna(subset="val_accuracy")
    best = measured["val_accuracy"].max()
    best_epoch = measured.loc[measured["val_accuracy"] == best, "epoch"].min()
    correct, low, high = float("nan"), float("nan"), float("nan")
    if pd.notna(last["val_accuracy"]):
        correct = round(last["val_accuracy"] * total)
        low, high = wilson_interval(correct, total)
    return {
        **{name: last[name] for name in ("study", "arm", "seed", "run", "epoch")},
        "final": last["val_accuracy"],
        "final_loss": last["val_loss"],
        "correct": correct,
        "total": total,
        "low": low,
        "high": high,
        "best": best,
        "best_epoch": best_epoch,
        "train_accuracy": last["accuracy"],
        "seconds": epochs["seconds"].sum(),
        "cold_seconds": epochs["cold_seconds"].sum(),
    }
