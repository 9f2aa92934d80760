"""The table of runs on Overview: one row per run."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from tl_engine.runs import Run, RunState, Summary
from ui.words import cell, duration

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


def state_label(state: RunState) -> str:
    """The state with its symbol, so that colour is never needed to tell."""
    return f"{SYMBOLS[state]} {state.value}"


def row(run: Run, known: Summary) -> dict[str, Any]:
    """What the table says about a run."""
    best, total = known.best, known.recipe.total_epochs if known.recipe else 1
    return {
        "id": run.id,
        "state": known.state,
        "State": state_label(known.state),
        "Study": cell(run.study.title),
        "Arm": cell(run.arm),
        "Pair": run.pair,
        "Phase": phase_words(known),
        "Progress": _percent_done(known, total),
        "Time left": duration(known.progress.get("seconds_left")),
        "Last": None if known.last is None else 100 * known.last,
        "Best": f"{best.accuracy:.1%} in epoch {best.epoch}" if best else "",
        "Curve": list(known.accuracies),
        "Training time": duration(known.times.training),
        "Launched": run.study.created,
    }


def _percent_done(known: Summary, total: int) -> int:
    if known.state is RunState.FINISHED:  # with fewer epochs than asked, where a phase ended early
        return 100
    return round(100 * known.progress.get("fraction", len(known.accuracies) / total))


def phase_words(known: Summary) -> str:
    """Where the run is: "all layers (1 of 2), epoch 2 of 6"; or why it is nowhere."""
    if known.state is RunState.QUEUED:
        return "waits for its turn"
    if known.state is RunState.INTERRUPTED:
        return "goes on by itself in a moment"
    if known.state not in (RunState.RUNNING, RunState.FINISHED, RunState.STOPPED):
        return cell(known.sentence, 80)
    if known.recipe is None or (known.state is RunState.RUNNING and "epoch" not in known.progress):
        return known.progress.get("stage", "starting")
    total = known.recipe.total_epochs
    epoch = known.progress.get("epoch", max(len(known.accuracies), 1))
    index = known.progress.get("phase", known.phase)
    phases = known.recipe.phases
    return (
        f"{phases[index].trainable_label} ({index + 1} of {len(phases)}), epoch {epoch} of {total}"
    )


def choose(rows: list[dict[str, Any]], selected: list[str]) -> list[str]:
    """Draw the table; the ids of the runs that are selected in it."""
    ids = [row["id"] for row in rows]
    frame = pd.DataFrame(rows).drop(columns=["id", "state"])
    event = st.dataframe(
        frame,
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
            "Training time": st.column_config.TextColumn(
                help="The sum of its epochs, as they were spent; those of another run count nothing"
            ),
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
    return [ids[position] for position in event.selection.rows if position < len(ids)]
