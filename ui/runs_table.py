"""The table of runs on Overview: one row per run."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from tl_engine.runs import Run, RunState
from ui.text import duration, plain

SYMBOLS = {
    RunState.QUEUED: "○",
    RunState.RUNNING: "▶",
    RunState.FINISHED: "✓",
    RunState.STOPPED: "■",
    RunState.FAILED: "✗",
    RunState.INTERRUPTED: "⚡",
}


def state_label(state: RunState) -> str:
    """The state with its symbol, so that colour is never needed to tell."""
    return f"{SYMBOLS[state]} {state.value}"


def row(run: Run) -> dict[str, Any]:
    """What the table says about a run."""
    state, epochs, recipe = run.state, run.epochs(), run.recipe
    done = epochs[-1]["epoch"] if epochs else 0
    progress = run.progress if state is RunState.RUNNING else {}
    best = run.best()
    return {
        "id": run.id,
        "state": state,
        "State": state_label(state),
        "Study": plain(run.study.title, 60),
        "Arm": plain(run.arm, 60),
        "Pair": run.pair,
        "Phase": phase_words(run, state, done, progress),
        "Progress": round(100 * progress.get("fraction", done / recipe.total_epochs)),
        "Time left": duration(progress.get("seconds_left")),
        "Last": 100 * epochs[-1]["val_accuracy"] if epochs else None,
        "Best": f"{best.accuracy:.1%} in epoch {best.epoch}" if best else "",
        "Curve": [epoch["val_accuracy"] for epoch in epochs],
        "Duration": duration(run.outcome.get("seconds") if state.is_over else None),
        "Launched": run.study.created,
    }


def phase_words(run: Run, state: RunState, done: int, progress: dict[str, Any]) -> str:
    """Where the run is: "all layers (1 of 2), epoch 2 of 6"."""
    if state is RunState.QUEUED:
        return "waits for its turn"
    if state is RunState.FAILED:
        return plain(run.outcome.get("sentence", ""), 80)
    epoch = progress.get("epoch", max(done, 1))
    if state is RunState.RUNNING and "epoch" not in progress:
        return progress.get("stage", "starting")
    index, phase = run.recipe.phase_at(min(epoch, run.recipe.total_epochs))
    return (
        f"{phase.trainable_label} ({index + 1} of {len(run.recipe.phases)}), "
        f"epoch {epoch} of {run.recipe.total_epochs}"
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
