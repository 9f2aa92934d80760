"""What Compare shows of each arm: confusions and per-class accuracy from finished runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.budgets import in_words
from tl_engine.analysis.confusion import per_class_accuracy
from tl_engine.execution.cost import sizes_of
from tl_engine.report.arms import Arm, arms_of
from tl_engine.runs import Run, RunState, summarise
from ui.figures import score_table
from ui.words import result, table

LONGEST = 50
"""Rows that a table shows at once; more are scrolled through, for which a browser loads 1 MB."""
ArmKey = tuple[str, str]
"""An arm among several studies: (study id, arm name)."""
ShownArm = Arm
shown_arms = arms_of


def budget_of(arms: Sequence[ShownArm]) -> str:
    """What a run of these arms costs, for beneath a chart's title."""
    return in_words(arm.runs[0].recipe for arm in arms)


def scores_of(history: pd.DataFrame, runs: list[Run]) -> pd.DataFrame:
    """The score of every run: rows of `analysis.scores.score_table`.

    Args:
        history: of these runs.
    """
    recipes = {run.id: summarise(run).recipe for run in runs}
    counts = {run: sizes_of(recipe).validation for run, recipe in recipes.items() if recipe}
    return score_table(history, counts)


def confusions(runs: list[Run]) -> np.ndarray | None:
    """Validation confusion counts (classes, classes), summed over the finished runs; None where
    none has finished."""
    counts = [
        np.array(run.scores["splits"]["validation"]["confusion"])
        for run in runs
        if summarise(run).state is RunState.FINISHED
    ]
    return np.sum(counts, axis=0) if counts else None


def per_class_frame(arms: dict[ArmKey, list[Run]], titles: dict[ArmKey, str]) -> pd.DataFrame:
    """One row per finished run and class: study, arm, seed, class, accuracy."""
    rows = []
    for key, runs in arms.items():
        for run in runs:
            counts = confusions([run])
            if counts is None:
                continue
            names = run.recipe.described_dataset.class_names
            rows += [
                {"study": key[0], "arm": titles[key], "seed": run.pair, "class": n, "accuracy": a}
                for n, a in zip(names, per_class_accuracy(counts), strict=True)
            ]
    return pd.DataFrame(rows, columns=["study", "arm", "seed", "class", "accuracy"])


def show_table(frame: pd.DataFrame) -> None:
    """A table of readable values, its index as first column."""
    if len(frame) <= LONGEST:
        st.markdown(table(frame))
    else:
        st.dataframe(frame.reset_index().map(lambda value: result(str(value))), hide_index=True)
