"""Compare's look at corrupted images: two arms, or one, on pixels that none of them was shown."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from tl_engine.analysis.paired_scores import paired_scores
from tl_engine.analysis.robustness import Robustness, mean_accuracy, mean_difference
from tl_engine.data.corruptions import SAMPLE
from tl_engine.errors import DamagedError
from tl_engine.report.question import is_planned
from tl_engine.runs import Evaluation, Run
from tl_engine.runs.evaluation_results import result_of
from ui import frame
from ui.arms import ShownArm, budget_of
from ui.compare import evaluation_control
from ui.export import chart
from ui.figures import robustness_accuracy, robustness_difference
from ui.words import plain

WHAT = (
    "Noise, blur, less contrast, more brightness, pixelation and JPEG, five severities each, with "
    "CIFAR-10-C's constants for 32 pixels (a blur's radius grows with larger images). Each run is "
    f"measured on at most {SAMPLE} validation images, a fixed sample with every class in "
    "proportion; both arms see the same pixels. A diagnostic: it changes no verdict."
)
Answers = dict[int, Robustness]
"""By the number of the pair."""


@frame.guarded()
def show(first: ShownArm, second: ShownArm | None = None) -> None:
    """Accuracy on corrupted images: first minus second, or of the one arm that has answers."""
    st.subheader("Corrupted images", anchor=False)
    runs = [*first.runs, *(second.runs if second else [])]
    known = [(arm, _answers(arm.runs)) for arm in (first, second) if arm]
    if not any(answers for _, answers in known):
        st.caption("No run was measured on corrupted images yet.")
    elif second and _comparable(known[0][1], known[1][1]):
        _show_two(known[0][1], known[1][1], first, second)
    else:
        for place, (arm, answers) in enumerate(known):
            if answers:
                _show_one(answers, arm, place)
    evaluation_control.ask(
        Evaluation.ROBUSTNESS, runs, "Measure on corrupted images", key="robustness"
    )
    st.caption(WHAT)


def _show_two(first: Answers, second: Answers, one: ShownArm, another: ShownArm) -> None:
    title, other = one.title, another.title
    pairs = sorted(set(first) & set(second))
    ours, theirs = ([answers[pair] for pair in pairs] for answers in (first, second))
    all_in = is_planned([one, another], len(pairs))
    cells = mean_difference(ours, theirs)
    counts, budget = (len(pairs), ours[0].total), budget_of([one, another])
    made = robustness_difference(cells, *counts, title, other, budget=budget)
    alt = f"Accuracy on corrupted images, {plain(title)} minus {plain(other)}"
    chart(made, _table(cells), "robustness", alt)
    rows = {
        "Mean of all corruptions": paired_scores(_means(first), _means(second), all_in=all_in),
        "The same images as they are": paired_scores(
            _cleans(first), _cleans(second), all_in=all_in
        ),
    }
    evaluation_control.show_pairs(rows, title, other)


def _show_one(answers: Answers, arm: ShownArm, place: int) -> None:
    asked = list(answers.values())
    cells, counts = mean_accuracy(asked), (len(asked), asked[0].total)
    made = robustness_accuracy(cells, *counts, arm.title, budget=budget_of([arm]))
    alt = f"Accuracy on corrupted images, {plain(arm.title)}"
    chart(made, _table(cells), f"robustness-{place}", alt)


def _table(cells: pd.DataFrame) -> pd.DataFrame:
    """A column per severity."""
    return cells.rename_axis("corruption").reset_index()


def _answers(runs: list[Run]) -> Answers:
    """What the runs said; a damaged answer is none, and is asked for again."""
    found = {}
    for run in runs:
        try:
            said = result_of(run, Evaluation.ROBUSTNESS)
        except DamagedError:
            continue
        if said:
            found[run.pair] = Robustness.of(said)
    return found


def _comparable(first: Answers, second: Answers) -> bool:
    """Whether there are pairs, each asked of the same images."""
    pairs = set(first) & set(second)
    return bool(pairs) and all(first[pair].sample == second[pair].sample for pair in pairs)


def _means(answers: Answers) -> dict[int, float]:
    return {pair: one.mean for pair, one in answers.items()}


def _cleans(answers: Answers) -> dict[int, float]:
    return {pair: one.clean for pair, one in answers.items()}
