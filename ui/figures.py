"""Figures and scores of Compare and Explain, made once for the same numbers and shared by visitors.

Drawing takes ten times as long as sending, and Python draws for one visitor at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import wraps
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from tl_engine.analysis import scores
from tl_engine.charts import (
    agreement,
    budget_curve,
    class_deltas,
    classes,
    confusion,
    curves,
    diagnosis,
    factors,
    fan,
    frontier,
    pairs,
    points,
    reliability,
    robustness,
    switch,
)
from tl_engine.charts.style import with_line

MAXIMUM_FIGURES = 64


def _all_of(frame: pd.DataFrame) -> bytes:
    """What tells a frame from any other; Streamlit's own looks at a sample of many rows."""
    rows = pd.util.hash_pandas_object(frame).to_numpy().tobytes()
    return hashlib.sha256(repr(list(frame.columns)).encode() + rows).digest()


_same: dict[str | type[Any], Callable[[Any], Any]] = {pd.DataFrame: _all_of}


def _once(draw: Callable[..., go.Figure]) -> Callable[..., go.Figure]:
    """Drawn once; with `budget=`, its title says too what the runs in it cost."""

    @wraps(draw)
    def drawn(*arguments: Any, budget: str = "", **options: Any) -> go.Figure:
        made = draw(*arguments, **options)
        return with_line(made, budget) if budget else made

    kept = st.cache_resource(max_entries=MAXIMUM_FIGURES, show_spinner=False, hash_funcs=_same)
    return kept(drawn)


_copied = st.cache_data(max_entries=MAXIMUM_FIGURES, show_spinner=False, hash_funcs=_same)

learning_curves = _once(curves.learning_curves)
final_scores = _once(points.final_scores)
confusion_matrix = _once(confusion.confusion_matrix)
confusion_difference = _once(confusion.confusion_difference)
per_class = _once(classes.per_class)
paired_slopes = _once(pairs.paired_slopes)
confidence_fan = _once(fan.confidence_fan)
best_of_runs = _once(budget_curve.budget_curve)
cost_and_accuracy = _once(frontier.frontier)
interaction = _once(factors.interaction)
robustness_accuracy = _once(robustness.robustness_accuracy)
robustness_difference = _once(robustness.robustness_difference)
agreement_matrix = _once(agreement.agreement_matrix)
apart_bars = _once(agreement.apart_bars)
class_differences = _once(class_deltas.class_differences)
reliability_diagram = _once(reliability.reliability_diagram)
refit_lines = _once(diagnosis.refit_lines)
distortion_bars = _once(diagnosis.distortion_bars)
alike_lines = _once(diagnosis.alike_lines)
path_lines = _once(diagnosis.path_lines)
head_lines = _once(diagnosis.head_lines)
drift_map = _once(diagnosis.drift_map)
switch_losses = _once(switch.losses)
freed_gradients = _once(switch.gradients)

score_table = _copied(scores.score_table)
arm_summary = _copied(scores.arm_summary)
