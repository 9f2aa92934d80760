"""Class by class: accuracy per arm, and where the difference of two arms comes from."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.class_deltas import class_deltas
from tl_engine.analysis.confusion import per_class_accuracy
from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.errors import ComparisonError
from tl_engine.runs import Run
from ui import frame
from ui.arms import ShownArm, budget_of, show_table
from ui.compare.saved_predictions import finished_pairs
from ui.export import chart
from ui.figures import class_differences
from ui.words import percent, plain


@frame.guarded()
def show_classes(first: ShownArm, second: ShownArm) -> None:
    """Recall of the first arm minus that of the second, class by class, paired over seeds.

    Raises:
        ComparisonError: where they have different classes.
    """
    st.subheader("Class by class", anchor=False)
    data = first.runs[0].recipe.described_dataset
    if second.runs[0].recipe.dataset != data.name:
        raise ComparisonError("Classes are compared within a dataset: choose arms of the same one.")
    ours, theirs = finished_pairs(first), finished_pairs(second)
    pairs = [pair for pair in ours if pair in theirs]
    if not pairs:
        st.caption("Classes are compared when a pair has finished in both arms.")
        return
    deltas = class_deltas(_recalls(ours, pairs), _recalls(theirs, pairs))
    colours = (first.colour, second.colour)
    look = (data.class_names, first.title, second.title, colours)
    made = class_differences(deltas, *look, budget=budget_of([first, second]))
    named = deltas.assign(name=[data.class_names[place] for place in deltas["class"]])
    chart(made, named, "class-deltas", "Difference of recall per class")
    with st.expander("The numbers"):
        show_table(_readable(deltas, data.class_names, first, second))
    st.caption(
        "Which classes differ says where a difference comes from, not which arm is better. "
        + (
            "Of several classes one stands out by chance alone: Holm's p counts them all."
            if len(pairs) >= LEAST_PAIRS
            else f"Intervals take at least {LEAST_PAIRS} pairs."
        )
    )


def _recalls(runs: dict[int, Run], pairs: list[int]) -> np.ndarray:
    """Recalls (pairs, classes) of finished runs."""
    counts = [runs[pair].scores["splits"]["validation"]["confusion"] for pair in pairs]
    return np.array([per_class_accuracy(np.array(one)) for one in counts])


def _readable(
    deltas: pd.DataFrame, names: tuple[str, ...], first: ShownArm, second: ShownArm
) -> pd.DataFrame:
    """The deltas in words and points, the largest difference first."""
    order = deltas["difference"].abs().sort_values(ascending=False, kind="stable").index
    rows = [
        {
            "Class": names[row["class"]],
            "Pairs": row["pairs"],
            plain(first.title, 40): percent(row["first"]),
            plain(second.title, 40): percent(row["second"]),
            "Difference": _number(100 * row["difference"], "+.1f"),
            "95 %": _interval(100 * row["low"], 100 * row["high"]),
            "p": _number(row["p"], ".2g"),
            "p, Holm": _number(row["p_holm"], ".2g"),
        }
        for row in deltas.loc[order].to_dict("records")
    ]
    return pd.DataFrame(rows).set_index("Class")


def _number(value: float, form: str) -> str:
    return "–" if pd.isna(value) else format(value, form)


def _interval(low: float, high: float) -> str:
    return "–" if pd.isna(low) else f"{low:+.1f} to {high:+.1f}"
