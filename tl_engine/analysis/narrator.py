"""How two arms went, in a sentence: the same histories always give the same.

It speaks of the first arm against the second: where it starts, when it overtakes, where it ends,
what it costs. Scores are means over the pairs of which both arms have measured that epoch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from tl_engine.analysis.budgets import TOLERANCE, apart

TIED = 0.0005
"""Two scores that are nearer, as shares, are called level: they would be printed as 0.0 points
apart."""


def narrate(history: pd.DataFrame, first: str, second: str, times_as_much: float = math.nan) -> str:
    """How two arms of these names went in a joined history, in one to three sentences.

    Args:
        times_as_much: what a run of the first costs, over what one of the second does; NaN where
            that is not known.
    """
    leads = _leads(history, first, second)
    if leads.empty:
        return f"No pair of {first} and {second} has a measured epoch in common yet."
    start, end, last = leads["lead"].iloc[0], leads["lead"].iloc[-1], int(leads.index[-1])
    reached = history.groupby("arm")["epoch"].max()
    longer = {arm: int(reached[arm]) for arm in (first, second) if reached[arm] > last}
    if len(leads) == 1:
        words = [f"is {_place(end, f'than {second}', f'with {second}')} after epoch {last}"]
    else:
        ends = f"stands {_place(end)} after epoch {last}" if longer else f"ends {_place(end)}"
        words = [f"starts {_place(start)}", _course(leads["lead"]), ends]
    words += _cost(times_as_much)
    course = ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
    return " ".join([f"{first} {course}.", *_provisos(leads["pairs"], longer)])


def _leads(history: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Per epoch (index) that both arms of a pair have measured: lead, the mean of first minus
    second over those pairs, and pairs, how many they are."""
    measured = history.dropna(subset="val_accuracy")
    scores = {}
    for arm in (first, second):
        of_arm = measured[measured["arm"] == arm].set_index(["seed", "epoch"])["val_accuracy"]
        scores[arm] = of_arm[~of_arm.index.duplicated()].astype(float)
    epochs = (scores[first] - scores[second]).dropna().groupby("epoch")
    return pd.DataFrame({"lead": epochs.mean(), "pairs": epochs.count()})


def _course(leads: pd.Series) -> str:
    """What happens between start and end: who overtakes, and when for the last time."""
    decided = np.sign(leads[leads.abs() >= TIED])
    if decided.empty:
        return "stays level"
    changes = decided[decided.diff().fillna(0) != 0]
    if changes.empty:
        if abs(leads.iloc[0]) < TIED:
            does = "pulls ahead" if decided.iloc[0] > 0 else "falls behind"
            return f"{does} in epoch {decided.index[0]}"
        return "is never overtaken" if decided.iloc[0] > 0 else "never overtakes"
    does = "overtakes" if changes.iloc[-1] > 0 else "is overtaken"
    if len(changes) == 1:
        return f"{does} in epoch {changes.index[0]}"
    last, times = changes.index[-1], len(changes)
    return f"{does} for the last time in epoch {last} (the lead changes {times} times)"


def _place(lead: float, than: str = "", tied_with: str = "") -> str:
    if abs(lead) < TIED:
        return f"level {tied_with}".strip()
    where = "higher" if lead > 0 else "lower"
    return f"{100 * abs(lead):.1f} points {where} {than}".strip()


def _cost(times: float) -> list[str]:
    if not times > 0 or math.isinf(times):
        return []
    if apart(times) <= TOLERANCE:
        return ["costs about the same"]
    return [f"costs {times:{',.0f' if times >= 10 else '.2g'}} times as much"]


def _provisos(pairs: pd.Series, longer: dict[str, int]) -> Iterator[str]:
    """What one must know to read the sentence: how many pairs there are in each epoch, and how many
    epochs the arms have that went beyond the last of these."""
    if longer:
        further = " and ".join(f"{arm} has {epochs}" for arm, epochs in longer.items())
        yield f"Compared up to epoch {pairs.index[-1]}, the last that both have; {further}."
    few, many = pairs.min(), pairs.max()
    if few < many:
        yield f"Means of {few} to {many} pairs, as far as both arms have come."
    else:
        yield "One pair only." if many == 1 else f"Means of {many} pairs."
