"""The best of k runs that one may expect, and what they cost (Dodge et al. 2019)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd


class Expected(NamedTuple):
    """What an arm may be expected to give within a time.

    Attributes:
        key: (study, arm).
        runs: that fit into the time, at most as many as the arm has.
        value: expected highest final score of them, as a share.
    """

    key: tuple[str, str]
    runs: int
    value: float


def expected_best(values: np.ndarray) -> np.ndarray:
    """(n,) expected highest of k = 1 to n values drawn with replacement from n (Dodge et al. 2019,
    "Show Your Work", section 3.2): the sum of each value times the chance that it is the highest.

    Args:
        values: (n,), n at least 1, none NaN.
    """
    ranked = np.sort(np.asarray(values, float))
    at_most = np.arange(len(ranked) + 1) / len(ranked)
    draws = np.arange(1, len(ranked) + 1)[:, None]
    return np.diff(at_most**draws, axis=1) @ ranked


def budget_curve(table: pd.DataFrame) -> pd.DataFrame:
    """The expected best of each arm against the time that so many runs take one after another.

    Args:
        table: rows of `score_table` of finished runs; those without a score or a time are left
            out.

    Returns:
        Columns study, arm, runs, seconds, value: k, k times the arm's mean cold seconds per run,
        expected best of k.
    """
    complete = table.dropna(subset=["final", "cold_seconds"])
    curves = [
        pd.DataFrame(
            {
                "study": study,
                "arm": arm,
                "runs": np.arange(1, len(rows) + 1),
                "seconds": np.arange(1, len(rows) + 1) * rows["cold_seconds"].mean(),
                "value": expected_best(rows["final"].to_numpy(float)),
            }
        )
        for (study, arm), rows in complete.groupby(["study", "arm"], sort=False)
    ]
    columns = ["study", "arm", "runs", "seconds", "value"]
    return pd.concat(curves, ignore_index=True) if curves else pd.DataFrame(columns=columns)


def best_within(curve: pd.DataFrame, seconds: float) -> list[Expected]:
    """What each arm may be expected to give within so many seconds, the best first; arms of which
    no run fits are left out.

    Args:
        curve: as `budget_curve` gives it.
    """
    fitting = curve[curve["seconds"] <= seconds]
    last = fitting.groupby(["study", "arm"], sort=False).tail(1)
    rows = last[["study", "arm", "runs", "value"]].to_numpy(object)
    found = [Expected((study, arm), int(runs), float(value)) for study, arm, runs, value in rows]
    return sorted(found, key=lambda one: -one.value)
