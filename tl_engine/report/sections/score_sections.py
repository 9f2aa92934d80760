"""Learning curves, the scores of runs and arms, and the settings in which arms differ."""

from __future__ import annotations

from math import isnan

import pandas as pd

from tl_engine.analysis.budgets import per_epoch
from tl_engine.analysis.contrast import differences, narrow
from tl_engine.analysis.curve_means import WORK
from tl_engine.analysis.score_table import arm_summary
from tl_engine.charts.final_points import final_scores
from tl_engine.charts.learning_curves import learning_curves
from tl_engine.metric import METRICS
from tl_engine.report.amounts import duration, number, percent
from tl_engine.report.section import Drawing, Section, charted, note
from tl_engine.report.shown_results import Results, cost_of, is_live, results_of
from tl_engine.runs import summarise
from tl_engine.text import plain

MOST_NAMED = 5
"""Runs without an epoch that are named."""
ARM_COLUMNS = {
    "n": "Seeds",
    "mean": "Mean",
    "lowest": "Lowest",
    "highest": "Highest",
    "mean_best": "Mean of best",
}


def curves(
    results: Results, *, metric: str = "val_accuracy", axis: str = "epoch", train: bool = False
) -> list[Section]:
    """The learning curves of every run: a column of the history against one of `AXES`; on request
    those of the training sample, too."""
    history = _history(results, axis)
    keys, runs = tuple(arm.key for arm in results.arms), results.runs
    made = charted(
        "curves",
        f"{METRICS[metric].short} per run and arm",
        Drawing(learning_curves, (history, metric, axis, train, keys), cost_of(results.arms)),
        numbers=lambda: _history(results_of(runs), axis),  # read when somebody saves it
    )
    return [*([_why_empty(results)] if history.empty else []), made]


def _history(results: Results, axis: str) -> pd.DataFrame:
    """The history, with what each epoch cost where that is the axis."""
    if axis not in WORK:
        return results.history
    return per_epoch(results.history, {arm.key: arm.recipe for arm in results.arms})


def scores(results: Results) -> list[Section]:
    """Every finished run as a point, means per arm, and a table of all runs; nothing before the
    first epoch has ended."""
    if results.history.empty:
        return []
    final, summary = results.final_scores, arm_summary(results.final_scores)
    keys = tuple(arm.key for arm in results.arms)
    return [
        charted(
            "points",
            "Final validation accuracy per seed",
            Drawing(final_scores, (final, keys), cost_of(results.arms)),
        ),
        Section(
            key="arms",
            table=_readable_arms(summary) if (summary["n"] > 1).any() else None,
            method="Final: after the last epoch, of runs that finished. Best: the highest of all "
            "epochs, chosen after looking, so it flatters. The interval (Wilson, 95 %) says how "
            "far the count alone can be off; it does not say which arm is better. Cold: with "
            "nothing computed or traced before; spent: with what other runs had left.",
        ),
        Section(key="runs", table=_readable_runs(results)),
    ]


def settings(results: Results) -> list[Section]:
    """The settings in which the arms differ."""
    if len(results.arms) < 2:
        return note("settings", "One arm: nothing to differ from.")
    found = differences({arm.title: arm.recipe.to_dict() for arm in results.arms})
    if found.empty:
        return note("settings", "None: the arms are the same.")
    return [Section(key="settings", table=narrow(found))]


def _why_empty(results: Results) -> Section:
    """Why there is no point yet, and whether one will come."""
    if is_live(results.runs):
        text = "The first epoch has not ended yet; its point appears here by itself."
        return Section(key="no-epoch-yet", text=text)
    runs, more = results.runs[:MOST_NAMED], len(results.runs) - MOST_NAMED
    states = "; ".join(f"{run.arm}, pair {run.pair}: {summarise(run).state.value}" for run in runs)
    rest = f"; and {more} more" if more > 0 else ""
    return Section(
        key="no-epoch",
        text=f"No epoch ended in {plain(states, 600)}{rest}. Nothing more comes by itself: "
        "select them on Overview to see why, or to restart them.",
    )


def _readable_arms(summary: pd.DataFrame) -> pd.DataFrame:
    """Means per arm in percentages."""
    shown = summary.set_index("arm")[list(ARM_COLUMNS)]
    shares = list(ARM_COLUMNS)[1:]
    shown[shares] = shown[shares].map(percent)
    return shown.rename(columns=ARM_COLUMNS).rename_axis("Arm")


def _readable_runs(results: Results) -> pd.DataFrame:
    """The score table in words and percentages; a run on its way has no final score."""
    runs = {run.id: run for arm in results.arms for run in arm.runs}
    done = set(results.final_scores["run"])
    rows = []
    for row in results.scores.to_dict("records"):
        final = percent(row["final"])
        right = "–" if isnan(row["correct"]) else f"{row['correct']:,.0f} of {row['total']:,}"
        rows.append(
            {
                "Arm": row["arm"],
                "Pair": row["seed"],
                "Final": final if row["run"] in done else f"now {final}",
                "Epochs": f"{row['epoch']} of {runs[row['run']].recipe.total_epochs}",
                "Right": right,
                "95 %": f"{percent(row['low'])} – {percent(row['high'])}",
                "Best": percent(row["best"]),
                "in epoch": number(row["best_epoch"], ".0f"),
                "Training": percent(row["train_accuracy"]),
                "Cold time": duration(row["cold_seconds"]),
                "Training time": duration(row["seconds"]),
            }
        )
    return pd.DataFrame(rows).set_index("Arm")
