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

from tl_engine.analysis.score_table import arm_summary as compute_arm_summary
from tl_engine.analysis.score_table import score_table as compute_score_table
from tl_engine.charts.agreement_matrix import agreement_matrix as draw_agreement_matrix
from tl_engine.charts.agreement_matrix import apart_bars as draw_apart_bars
from tl_engine.charts.budget_curve import budget_curve as draw_budget_curve
from tl_engine.charts.class_differences import class_differences as draw_class_differences
from tl_engine.charts.confidence_fan import confidence_fan as draw_confidence_fan
from tl_engine.charts.confusion_matrix import confusion_difference as draw_confusion_difference
from tl_engine.charts.confusion_matrix import confusion_matrix as draw_confusion_matrix
from tl_engine.charts.corruption_heatmap import robustness_accuracy as draw_robustness_accuracy
from tl_engine.charts.corruption_heatmap import robustness_difference as draw_robustness_difference
from tl_engine.charts.factors import interaction as draw_interaction
from tl_engine.charts.final_points import final_scores as draw_final_scores
from tl_engine.charts.frontier import frontier as draw_frontier
from tl_engine.charts.learning_curves import learning_curves as draw_learning_curves
from tl_engine.charts.pair_points import paired_slopes as draw_paired_slopes
from tl_engine.charts.per_class import per_class as draw_per_class
from tl_engine.charts.phase_effects import alike_lines as draw_alike_lines
from tl_engine.charts.phase_effects import distortion_bars as draw_distortion_bars
from tl_engine.charts.phase_effects import drift_map as draw_drift_map
from tl_engine.charts.phase_effects import head_lines as draw_head_lines
from tl_engine.charts.phase_effects import path_lines as draw_path_lines
from tl_engine.charts.phase_effects import refit_lines as draw_refit_lines
from tl_engine.charts.phase_switch import gradients as draw_gradients
from tl_engine.charts.phase_switch import losses as draw_losses
from tl_engine.charts.reliability_diagram import reliability_diagram as draw_reliability_diagram
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

learning_curves = _once(draw_learning_curves)
final_scores = _once(draw_final_scores)
confusion_matrix = _once(draw_confusion_matrix)
confusion_difference = _once(draw_confusion_difference)
per_class = _once(draw_per_class)
paired_slopes = _once(draw_paired_slopes)
confidence_fan = _once(draw_confidence_fan)
best_of_runs = _once(draw_budget_curve)
cost_and_accuracy = _once(draw_frontier)
interaction = _once(draw_interaction)
robustness_accuracy = _once(draw_robustness_accuracy)
robustness_difference = _once(draw_robustness_difference)
agreement_matrix = _once(draw_agreement_matrix)
apart_bars = _once(draw_apart_bars)
class_differences = _once(draw_class_differences)
reliability_diagram = _once(draw_reliability_diagram)
refit_lines = _once(draw_refit_lines)
distortion_bars = _once(draw_distortion_bars)
alike_lines = _once(draw_alike_lines)
path_lines = _once(draw_path_lines)
head_lines = _once(draw_head_lines)
drift_map = _once(draw_drift_map)
switch_losses = _once(draw_losses)
freed_gradients = _once(draw_gradients)

score_table = _copied(compute_score_table)
arm_summary = _copied(compute_arm_summary)
