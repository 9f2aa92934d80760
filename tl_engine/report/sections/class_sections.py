"""Accuracy class by class, and the classes from which a difference of two arms comes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.paired_scores import class_deltas
from tl_engine.analysis.predictions import per_class_accuracy
from tl_engine.charts.class_scores import class_differences
from tl_engine.charts.class_scores import per_class as draw_per_class
from tl_engine.errors import ComparisonError
from tl_engine.report.amounts import number, percent
from tl_engine.report.arms import Arm
from tl_engine.report.section import Drawing, Section, charted, note
from tl_engine.report.shown_results import Results, cost_of
from tl_engine.runs import Run
from tl_engine.text import plain


def per_class(results: Results) -> list[Section]:
    """How each class fares in the arms that are compared, or in the first two."""
    arms = results.contrast or results.arms[:2]
    if not any(arm.finished for arm in arms):
        return []
    rows = [
        (arm.key[0], arm.title, pair, name, recall)
        for arm in arms
        for pair, run in arm.finished.items()
        for name, recall in zip(
            arm.recipe.described_dataset.class_names, _recalls(run), strict=True
        )
    ]
    frame = pd.DataFrame(rows, columns=["study", "arm", "seed", "class", "accuracy"])
    titled = tuple((arm.key[0], arm.title) for arm in results.arms)
    drawing = Drawing(draw_per_class, (frame, titled), cost_of(arms))
    return [charted("per-class", "Accuracy per class and arm", drawing)]


def differences_by_class(results: Results) -> list[Section]:
    """Recall of the first arm minus that of the second, class by class, paired over seeds; raises
    ComparisonError where they have different classes."""
    first, second = results.two_arms
    names = first.recipe.described_dataset.class_names
    if second.recipe.dataset != first.recipe.dataset:
        raise ComparisonError("Classes are compared within a dataset: choose arms of the same one.")
    if not (pairs := results.common_pairs):
        return note("class-deltas", "Classes are compared when a pair has finished in both arms.")
    recalls = (
        np.array([_recalls(arm.finished[pair]) for pair in pairs]) for arm in results.two_arms
    )
    deltas, colours = class_deltas(*recalls), (first.colour, second.colour)
    arguments = (deltas, names, first.title, second.title, colours)
    many = "Of several classes one stands out by chance alone: Holm's p counts them all."
    few = f"Intervals take at least {LEAST_PAIRS} pairs."
    return [
        charted(
            "class-deltas",
            "Difference of recall per class",
            Drawing(class_differences, arguments, cost_of(results.two_arms)),
            numbers=deltas.assign(name=[names[place] for place in deltas["class"]]),
            table=_readable(deltas, names, first, second),
            method="Which classes differ says where a difference comes from, not which arm is "
            f"better. {many if len(pairs) >= LEAST_PAIRS else few}",
        )
    ]


def _recalls(run: Run) -> np.ndarray:
    """Share right (classes,) of the images of each class."""
    return per_class_accuracy(np.array(run.scores["splits"]["validation"]["confusion"]))


def _readable(
    deltas: pd.DataFrame, names: tuple[str, ...], first: Arm, second: Arm
) -> pd.DataFrame:
    """The deltas in words and points, the largest difference first."""
    order = deltas["difference"].abs().sort_values(ascending=False, kind="stable").index
    rows = []
    for row in deltas.loc[order].to_dict("records"):
        low, high = 100 * row["low"], 100 * row["high"]
        rows.append(
            {
                "Class": names[row["class"]],
                "Pairs": row["pairs"],
                plain(first.title, 40): percent(row["first"]),
                plain(second.title, 40): percent(row["second"]),
                "Difference": number(100 * row["difference"], "+.1f"),
                "95 %": "–" if pd.isna(low) else f"{low:+.1f} to {high:+.1f}",
                "p": number(row["p"], ".2g"),
                "p, Holm": number(row["p_holm"], ".2g"),
            }
        )
    return pd.DataFrame(rows).set_index("Class")
