"""How two arms went, in a sentence: the same histories always give the same.

It speaks of the first arm against the second: where it starts, when it overtakes, where it ends,
what it costs. Scores are means over the pairs of which both arms have measured that epoch; such
that differ by less than half a tenth of a percentage point are called level, which means tied.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from tl_engine.analysis.budgets import TOLERANCE, apart

TIED = 0.0005
"""Two scores that are nearer, as shares, are tied: they would be printed as 0.0 points apart."""


def narrate(history: pd.DataFrame, first: str, second: str, times_as_much: float = math.nan) -> str:
    """How two arms of a study went, in one to three sentences.

    Args:
        history: the joined history of both; other arms in it are left out.
        first, second: names of the arms, which the sentence repeats as they are.
        times_as_much: what a run of the first costs, over what one of the second does; NaN where
            that is not known.
    """
    leads = _leads(history, first, second)
    if leads.empty:
        return f"No pair of {first} and {second} has a measured epoch in common yet."
    signs = _signs(leads["lead"])
    if len(leads) == 1:
        where = _place(leads["lead"].iloc[0], f"than {second}", f"with {second}")
        words = [f"is {where} after epoch {leads.index[0]}"]
    else:
        start, end = leads["lead"].iloc[[0, -1]]
        last = int(leads.index[-1])
        ends = (
            f"stands {_place(end)} after epoch {last}"
            if _longer(history, last, first, second)
            else f"ends {_place(end)}"
        )
        words = [f"starts {_place(start)}", *_course(signs), ends]
    if cost := _cost(times_as_much):
        words.append(cost)
    course = f"{first} {_listed(words)}."
    return " ".join([course, *_provisos(history, leads, first, second)])


def _leads(history: pd.DataFrame, first: str, second: str) -> pd.DataFrame:
    """Per epoch (index) that both arms of a pair have measured: lead, the mean of first minus
    second over those pairs, and how many they are."""
    measured = history.dropna(subset="val_accuracy")
    scores = {}
    for arm in (first, second):
        of_arm = measured[measured["arm"] == arm].set_index(["seed", "epoch"])["val_accuracy"]
        scores[arm] = of_arm[~of_arm.index.duplicated()].astype(float)
    epochs = (scores[first] - scores[second]).dropna().groupby("epoch")
    return pd.DataFrame({"lead": epochs.mean(), "pairs": epochs.count()})


def _signs(leads: pd.Series) -> pd.Series:
    """1 where the first is ahead, -1 where it is behind, 0 where they are tied."""
    return np.sign(leads.where(leads.abs() >= TIED, 0.0)).astype(int)


def _course(signs: pd.Series) -> list[str]:
    """What happens between start and end: who overtakes, and when for the last time."""
    decided = signs[signs != 0]
    if decided.empty:
        return ["stays level"]
    changes = decided[decided.diff().fillna(0) != 0]
    if changes.empty:
        if signs.iloc[0] == 0:
            does = "pulls ahead" if decided.iloc[0] > 0 else "falls behind"
            return [f"{does} in epoch {decided.index[0]}"]
        return ["is never overtaken" if decided.iloc[0] > 0 else "never overtakes"]
    does = "overtakes" if changes.iloc[-1] > 0 else "is overtaken"
    if len(changes) == 1:
        return [f"{does} in epoch {changes.index[0]}"]
    return [
        f"{does} for the last time in epoch {changes.index[-1]} "
        f"(the lead changes {len(changes)} times)"
    ]


def _place(lead: float, than: str = "", tied_with: str = "") -> str:
    if abs(lead) < TIED:
        return f"level {tied_with}".strip()
    where = "higher" if lead > 0 else "lower"
    return f"{100 * abs(lead):.1f} points {where} {than}".strip()


def _cost(times: float) -> str:
    if not times > 0 or math.isinf(times):
        return ""
    if apart(times) <= TOLERANCE:
        return "costs about the same"
    return (
        f"costs {times:,.0f} times as much" if times >= 10 else f"costs {times:.2g} times as much"
    )


def _provisos(history: pd.DataFrame, leads: pd.DataFrame, first: str, second: str) -> list[str]:
    """What one must know to read the sentence: unequal lengths, few pairs."""
    sentences, last = [], int(leads.index[-1])
    if longer := _longer(history, last, first, second):
        further = " and ".join(f"{arm} has {epochs}" for arm, epochs in longer.items())
        sentences.append(f"Compared up to epoch {last}, the last that both have; {further}.")
    pairs = sorted(set(leads["pairs"]))
    if pairs == [1]:
        sentences.append("One pair only.")
    elif len(pairs) > 1:
        sentences.append(
            f"Means of {pairs[0]} to {pairs[-1]} pairs, as far as both arms have come."
        )
    else:
        sentences.append(f"Means of {pairs[0]} pairs.")
    return sentences


def _longer(history: pd.DataFrame, last: int, *arms: str) -> dict[str, int]:
    """The arms that went beyond an epoch, and how far."""
    reached = {arm: history.loc[history["arm"] == arm, "epoch"].max() for arm in arms}
    return {arm: int(epochs) for arm, epochs in reached.items() if epochs > last}


def _listed(words: list[str]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1] if len(words) > 1 else words[0]
