"""Parts of Compare with something to choose, and all others."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import streamlit as st

from tl_engine.analysis.curve_means import AXES
from tl_engine.metric import METRICS
from tl_engine.report.parts import Part
from tl_engine.report.sections.agreement_sections import agreement
from tl_engine.report.sections.cost_sections import COSTS, budget_curve, frontier, longest_time
from tl_engine.report.sections.mistake_sections import confusion, mistakes
from tl_engine.report.sections.pair_sections import pairs
from tl_engine.report.sections.score_sections import curves, scores
from tl_engine.report.sections.test_split_sections import shown_study, tested
from tl_engine.report.sections.trust_sections import (
    calibrated_pairs,
    calibration,
    compared,
    corrupted,
)
from tl_engine.report.sections.verdict_sections import contrasts, interval, verdict
from tl_engine.report.shown_results import Results
from tl_engine.runs import Evaluation, StudyEvaluation, StudyFolder
from tl_engine.runs.evidence import of_store
from tl_engine.text import escape
from ui import frame
from ui.compare import verdict_view
from ui.compare.evaluation_control import Request, ask
from ui.compare.image_views import show_agreement, show_confusion, show_mistakes
from ui.section_view import draw_all, show_part

LONG = 120.0
"""Seconds from which on times are asked for in minutes."""
GO_ON = "Go on with opening it"
COST = (
    "An opening is counted for ever, with its time, and stands beside every verdict of this study. "
    "Whatever is chosen from then on (settings, arms, when to stop) may have been chosen by the "
    "test images, and no untouched images are left to check it. Open it when nothing is left to "
    "choose."
)


_pick = partial(frame.pick, label_visibility="collapsed")


def show(part: Part, results: Results) -> None:
    """Draw a part of Compare with its controls."""
    view = VIEWS.get(part.compose)
    if view is None:
        show_part(part, results, WIDTHS.get(part.compose))
    elif results.contrast or not part.needs_two_arms:
        if part.heading:
            st.subheader(part.heading, anchor=False)
        view(results)


@st.fragment
@frame.guarded()
def show_alone(part: Part, results: Results) -> None:
    """The same, where a choice draws this part alone again."""
    show(part, replace(results))  # not what was read: a session would hold it


def show_curves(results: Results) -> None:
    """Learning curves of a metric against an axis."""
    with st.container(horizontal=True, vertical_alignment="center"):
        metrics = {name: metric.short for name, metric in METRICS.items()}
        metric = _pick("Metric", metrics, "metric", default="val_accuracy")
        axes = {name: axis.short for name, axis in AXES.items()}
        axis = _pick("Against", axes, "axis", default="epoch", width="stretch")
        train = st.toggle(
            "Training images too",
            key="train",
            help="Measured like validation: in inference mode after the epoch, on a fixed "
            "sample of training images.",
        )
    draw_all(curves(results, metric=metric, axis=axis, train=train))


def show_budget_curve(results: Results) -> None:
    """The best that one may expect in the time that a visitor has."""
    seconds = None
    if longest := longest_time(results):
        unit, name = (60.0, "min") if longest >= LONG else (1.0, "s")
        top = _round_above(longest / unit)
        chosen = st.slider("I have", 0.0, top, top / 2, top / 100, f"%.1f {name}", key="budget")
        seconds = chosen * unit
    draw_all(budget_curve(results, seconds=seconds))


def show_frontier(results: Results) -> None:
    """Accuracy against a cost."""
    if results.history.empty:
        return
    cost = _pick("Cost", {name: name for name in COSTS}, "cost", default="Time")
    draw_all(frontier(results, cost=cost))


def show_calibration(results: Results) -> None:
    """Reliability diagrams of one pair."""
    titles, pair = {n: f"Pair {n}" for n in calibrated_pairs(results)}, None
    if len(titles) > 1:
        pair = frame.choose(st.selectbox, "Pair", titles, "calibration-pair", width=180)
    draw_all(calibration(results, pair=pair), 380)


def show_corrupted(results: Results) -> None:
    """Accuracy on corrupted images, and the button that measures it."""
    draw_all(corrupted(results))
    runs = [run for arm in compared(results) for run in arm.runs]
    ask(Request(Evaluation.ROBUSTNESS, runs, "Measure on corrupted images"))


def show_tested(results: Results) -> None:
    """Test scores, and the button that opens the test split."""
    study = shown_study(results)
    title = results.arms[0].recipe.described_dataset.title
    with st.spinner(f"Looking for near-duplicates in {escape(title)} …"):
        sections = tested(results)
    draw_all(sections)
    label = _label(study)
    cost = "" if label == GO_ON else COST
    ask(Request(Evaluation.TEST, study.runs(), label, cost))


def _label(study: StudyFolder) -> str:
    """What pressing the button is: the first test-set access, another one, or the rest of one."""
    accesses = of_store(study.path.parent).test_accesses(study)
    if not accesses:
        return "Open the test split"
    if all(access.study for access in accesses):
        return "Open it for this study, too"
    named = {name for access in accesses for name in access.runs}
    missing = StudyEvaluation(study, Evaluation.TEST).missing(study.runs())
    if all(run.path.name in named for run in missing):
        return GO_ON
    return "Open it for what has finished since"


def _round_above(value: float) -> float:
    """The next of 1, 2, 5, 10, 20 … (and 0.1, 0.2 …), so that a slider seldom gets another end."""
    power = 10.0 ** math.floor(math.log10(value))
    return power * next(digit for digit in (1.0, 2.0, 5.0, 10.0) if value <= power * digit)


VIEWS: dict[Callable[..., Any], Callable[[Results], None]] = {
    verdict: verdict_view.show_verdict,
    interval: verdict_view.show_interval,
    contrasts: verdict_view.show_contrasts,
    curves: show_curves,
    confusion: show_confusion,
    mistakes: show_mistakes,
    agreement: show_agreement,
    budget_curve: show_budget_curve,
    frontier: show_frontier,
    calibration: show_calibration,
    corrupted: show_corrupted,
    tested: show_tested,
}
"""By what composes a part: what draws it with its controls."""
WIDTHS: dict[Callable[..., Any], int] = {pairs: 480, scores: 480}
"""Of figures that stand side by side, in pixels."""
