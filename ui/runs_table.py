"""The table of runs on Overview: one row per run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import starmap
from typing import Any

import pandas as pd
import streamlit as st

from tl_engine.catalog.glossary import explain
from tl_engine.report.amounts import duration
from tl_engine.runs import Run, RunState, Summary
from tl_engine.text import cell

SYMBOLS = {
    RunState.QUEUED: "○",
    RunState.RUNNING: "▶",
    RunState.PAUSED: "⏸",
    RunState.NOT_RESPONDING: "⏳",
    RunState.FINISHED: "✓",
    RunState.STOPPED: "■",
    RunState.FAILED: "✗",
    RunState.INTERRUPTED: "⚡",
    RunState.DAMAGED: "⚠",
}

WAITING = {
    RunState.QUEUED: "waits for its turn",
    RunState.INTERRUPTED: "goes on by itself in a moment",
}
"""Why a run is in no phase now."""


def state_label(state: RunState) -> str:
    """The state with its symbol, so that colour is never needed to tell."""
    return f"{SYMBOLS[state]} {state.value}"


def _row(run: Run, summary: Summary) -> dict[str, Any]:
    """What the table says about a run."""
    best, total = summary.best, summary.recipe.total_epochs if summary.recipe else 1
    done = summary.progress.get("fraction", len(summary.accuracies) / total)
    if summary.state is RunState.FINISHED:
        done = 1  # a phase may have ended early
    return {
        "State": state_label(summary.state),
        "Study": cell(run.study.title),
        "Arm": cell(run.arm),
        "Pair": run.pair,
        "Phase": phase_words(summary),
        "Progress": round(100 * done),
        "Time left": duration(summary.progress.get("seconds_left")),
        "Last": None if summary.last is None else 100 * summary.last,
        "Best": f"{best.accuracy:.1%} in epoch {best.epoch}" if best else "",
        "Curve": list(summary.accuracies),
        "Training time": duration(summary.times.training),
        "Launched": run.study.created,
    }


def phase_words(summary: Summary) -> str:
    """Where the run is: "all layers (1 of 2), epoch 2 of 6"; or why it is nowhere."""
    if summary.state in WAITING:
        return WAITING[summary.state]
    if summary.state not in (RunState.RUNNING, RunState.FINISHED, RunState.STOPPED):
        return cell(summary.sentence, 80)
    before_epochs = summary.state is RunState.RUNNING and "epoch" not in summary.progress
    if summary.recipe is None or before_epochs:
        return summary.progress.get("stage", "starting")
    total = summary.recipe.total_epochs
    epoch = summary.progress.get("epoch", max(len(summary.accuracies), 1))
    index = summary.progress.get("phase", summary.phase)
    phases = summary.recipe.phases
    return (
        f"{phases[index].trainable_label} ({index + 1} of {len(phases)}), epoch {epoch} of {total}"
    )


def choose(standings: Sequence[tuple[Run, Summary]]) -> None:
    """Draw the table of runs and how they stand; the session notes as `selected` the ids of those
    that are selected in it."""
    ids = [run.id for run, _ in standings]
    selected = st.session_state.get("selected", [])
    event = st.dataframe(
        pd.DataFrame(list(starmap(_row, standings))),
        hide_index=True,
        column_config={
            "Progress": st.column_config.ProgressColumn(
                format="%d %%", min_value=0, max_value=100, width="small"
            ),
            "Last": st.column_config.NumberColumn(
                format="%.1f %%", help="Validation accuracy after the last epoch"
            ),
            "Best": st.column_config.TextColumn(
                help="Highest validation accuracy and its first epoch", width=130
            ),
            "Training time": st.column_config.TextColumn(help=explain("Training time")),
            "Curve": st.column_config.LineChartColumn(
                y_min=0, y_max=1, width="small", help="Validation accuracy per epoch"
            ),
            "Phase": st.column_config.TextColumn(width=190),
            "Launched": st.column_config.DatetimeColumn(format="distance"),
        },
        placeholder="–",
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={
            "selection": {"rows": [ids.index(one) for one in selected if one in ids]}
        },
        # A new key when rows come or go: a selection by position would slip to another run.
        key=f"runs-{hash(tuple(ids))}",
        alt="Runs with their state, progress and validation accuracy",
    )
    rows = event.selection.rows
    st.session_state.selected = [ids[position] for position in rows if position < len(ids)]
