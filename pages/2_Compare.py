"""Compare: what any runs allow one to say, their curves, scores, settings and mistakes."""

from functools import partial
from math import isnan

import pandas as pd
import streamlit as st

from tl_engine.analysis.budgets import per_epoch
from tl_engine.analysis.curve_means import WORK
from tl_engine.analysis.settings_diff import differences
from tl_engine.report.arms import finished
from tl_engine.runs import RunState, joined_history, split_sound, summarise
from ui import frame
from ui.arms import budget_of, confusions, per_class_frame, scores_of, show_table, shown_arms
from ui.compare import contrast_view, robustness_view, test_split_view, verdict_view
from ui.compare.agreement_view import show_agreement
from ui.compare.calibration_view import show_calibration
from ui.compare.classes_view import show_classes
from ui.compare.confusion_view import show_confusion
from ui.compare.mistakes_view import show_mistakes
from ui.engine import store
from ui.export import chart
from ui.figures import (
    arm_summary,
    final_scores,
    learning_curves,
    per_class,
)
from ui.selection import choose_runs, say_broken
from ui.words import duration, escape, percent, settings_table

METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss"}
FEW = 10
"""Rows of scores that are shown unasked."""
MANY = 50
"""Arms of which nothing is looked at more closely unasked."""
MOST_SAID = 5
"""Runs without an epoch that are named."""
AXES = {
    "epoch": "Epochs",
    "images": "Images seen",
    "steps": "Steps",
    "forward_equivalents": "Forward-equivalents",
    "seconds": "Training time in seconds",
}


def is_live(runs):
    """Whether there will be more of any of them."""
    return any(not summarise(run).state.is_over for run in runs)


def evidence(runs, chosen):
    """The verdict, the curves and the scores, re-read while something trains."""
    with frame.guarded():
        runs, broken = split_sound(runs)  # one may have been damaged or deleted since
        say_broken(broken)
        if not runs:
            return
        chosen = still_there(chosen, runs)
        history = joined_history(runs)
        scored = None
        if chosen and not history.empty:
            scored = scores_of(history, runs)
            judged(runs, chosen, scored, history)
        curves(history, runs)
        if not history.empty:
            scored = scores_of(history, runs) if scored is None else scored
            scores(scored, shown_arms(runs))
        if not broken and not is_live(runs) and st.session_state.get("was-live"):
            st.session_state["was-live"] = False
            st.rerun()


def still_there(chosen, runs):
    """The arms of the contrast with those of their runs that are left, in the order in which all
    arms stand now; None where one has none."""
    keys = {arm.key for arm in chosen or ()}
    left = tuple(arm for arm in shown_arms(runs) if arm.key in keys)
    return left if len(left) == 2 else None


def judged(runs, chosen, scored, history):
    """The verdict on a contrast, with what it rests on."""
    arms = shown_arms(runs)
    said = verdict_view.show(arms, chosen, scored, history)
    if said[0].refusal:
        return
    contrast_view.show_story(*chosen, history)
    halves = st.grid(2, min_column_width=480, gap="medium")
    with halves.cell():
        contrast_view.show_pairs(*chosen, *said)
    with halves.cell():
        contrast_view.show_fan(*chosen, *said)


def curves(history, runs):
    """The learning curves."""
    with st.container(horizontal=True, vertical_alignment="center"):
        metric = st.segmented_control(
            "Metric",
            list(METRICS),
            format_func=METRICS.get,
            default="val_accuracy",
            required=True,
            label_visibility="collapsed",
            key="metric",
        )
        axis = st.segmented_control(
            "Against",
            list(AXES),
            format_func=AXES.get,
            default="epoch",
            required=True,
            label_visibility="collapsed",
            key="axis",
            width="stretch",
        )
        train = st.toggle(
            "Training images too",
            key="train",
            help="Measured like validation: in inference mode after the epoch, on a fixed "
            "sample of training images.",
        )
    if history.empty:
        say_none(runs)
    arms = shown_arms(runs)
    numbers = partial(joined_history, runs)
    if axis in WORK:
        history = with_costs(history, runs)
        numbers = partial(with_costs, None, runs)
    of_all = tuple(arm.key for arm in arms)
    drawn = learning_curves(history, metric, axis, train, of_all, budget=budget_of(arms))
    alt = f"{METRICS[metric]} per run and arm"
    chart(drawn, numbers, "curves", alt)


def say_none(runs):
    """Why there is no point yet, and whether one will come."""
    if is_live(runs):
        st.info(
            "The first epoch has not ended yet; its point appears here by itself.",
            icon=":material/hourglass_top:",
        )
        return
    said = [f"{run.arm}, pair {run.pair}: {summarise(run).state.value}" for run in runs[:MOST_SAID]]
    more = f"; and {len(runs) - MOST_SAID} more" if len(runs) > MOST_SAID else ""
    st.info(
        f"No epoch ended in {escape('; '.join(said), 600)}{more}. Nothing more comes by itself: "
        "select them on Overview to see why, or to restart them.",
        icon=":material/block:",
    )


def with_costs(history, runs):
    """The history, of all of the runs where it is not at hand, with what each epoch cost."""
    recipes = {arm.key: arm.runs[0].recipe for arm in shown_arms(runs)}
    return per_epoch(joined_history(runs) if history is None else history, recipes)


def scores(scored, arms):
    """Every finished run as a point, and a table of all runs."""
    st.subheader("Scores", anchor=False)
    halves = st.grid(2, min_column_width=480, gap="medium")
    done = finished(arms, scored)
    with halves.cell():
        of_all = tuple(arm.key for arm in arms)
        points = final_scores(done, of_all, budget=budget_of(arms))
        chart(points, done, "points", "Final validation accuracy per seed")
    with halves.cell():
        summary = arm_summary(done)
        if (summary["n"] > 1).any():
            show_table(_readable_arms(summary))
        st.caption(
            "Final: after the last epoch, of runs that finished. Best: the highest of all epochs, "
            "chosen after looking, so it flatters. The interval (Wilson, 95 %) says how far the "
            "count alone can be off; it does not say which arm is better. Cold: with nothing "
            "computed or traced before; spent: with what other runs had left."
        )
    with st.expander("Every run", expanded=len(scored) <= FEW):
        show_table(_readable(scored, {run.id: run for arm in arms for run in arm.runs}))


def _readable_arms(summary):
    """Means per arm in words and percentages."""
    columns = {
        "mean": "Mean",
        "lowest": "Lowest",
        "highest": "Highest",
        "mean_best": "Mean of best",
    }
    shown = summary.set_index("arm")[["n", *columns]]
    shown[list(columns)] = shown[list(columns)].map(percent)
    return shown.rename(columns={"n": "Seeds", **columns}).rename_axis("Arm")


def _readable(scored, runs):
    """The score table in words and percentages; runs by id tell how far each one came."""
    done = {run.id for run in runs.values() if summarise(run).state is RunState.FINISHED}
    rows = [
        {
            "Arm": row.arm,
            "Pair": row.seed,
            "Final": percent(row.final) if row.run in done else f"now {percent(row.final)}",
            "Epochs": f"{row.epoch} of {runs[row.run].recipe.total_epochs}",
            "Right": "–" if isnan(row.correct) else f"{row.correct:,.0f} of {row.total:,}",
            "95 %": f"{percent(row.low)} – {percent(row.high)}",
            "Best": percent(row.best),
            "in epoch": "–" if isnan(row.best_epoch) else f"{row.best_epoch:.0f}",
            "Training": percent(row.train_accuracy),
            "Cold time": duration(row.cold_seconds),
            "Training time": duration(row.seconds),
        }
        for row in scored.itertuples()
    ]
    return pd.DataFrame(rows).set_index("Arm")


def chosen_first(shown, chosen):
    """The arms, those of the contrast first."""
    first = list(chosen or ())
    return [*first, *(arm for arm in shown if arm not in first)]


def mistakes(shown, chosen):
    """What is mistaken for what, the chosen arms first, and how each class fares."""
    ordered = chosen_first(shown, chosen)
    show_confusion(ordered)
    looked_at = chosen or shown[:2]
    counted = {arm.key: arm.runs for arm in looked_at if confusions(arm.runs) is not None}
    titles = {arm.key: arm.title for arm in looked_at}
    if counted:
        classes = per_class_frame(counted, titles)
        titled = tuple((arm.key[0], arm.title) for arm in shown)
        drawn = per_class(classes, titled, budget=budget_of(looked_at))
        chart(drawn, classes, "per-class", "Accuracy per class and arm")
    show_mistakes(ordered)


def agreement(chosen):
    """On which images and classes the two arms differ."""
    show_agreement(*chosen)
    show_classes(*chosen)


def costs(runs, shown, chosen):
    """What the arms cost, and what one gets for it."""
    history = joined_history(runs)
    if history.empty:
        st.caption("Costs are known when the first epoch has ended.")
        return
    scored = scores_of(history, runs)
    if chosen:
        contrast_view.show_budgets(*chosen, history)
    contrast_view.show_budget_curve(shown, scored)
    contrast_view.show_frontier(shown, scored)
    contrast_view.show_factors(shown, scored)


def closer(runs, shown, chosen):
    """One part at a time of what is behind the scores."""
    parts = {
        "Mistakes": lambda: mistakes(shown, chosen),
        "Agreement": lambda: agreement(chosen),
        "Costs": lambda: costs(runs, shown, chosen),
        "Calibration": lambda: show_calibration(chosen_first(shown, chosen)),
        "Corrupted images": lambda: robustness_view.show(*(chosen or shown[:1])),
        "Test split": lambda: test_split_view.show(shown[0].runs[0].study, shown),
    }
    offered = [part for part in parts if chosen or part != "Agreement"]
    few = len(shown) <= MANY
    part = st.segmented_control(
        "Look closer", offered, default="Mistakes" if few else None, required=few, key="closer"
    )
    if part:
        with frame.guarded():
            parts[part]()


with frame.page("Compare"):
    kept = store()
    if unreadable := len(kept.unreadable()):
        words = "1 study" if unreadable == 1 else f"{unreadable} studies"
        st.caption(f":material/warning: {words} cannot be read: Overview says why.")
    if not any(True for _ in kept.runs()):
        frame.empty_state(
            "Nothing to compare yet. Launch both orders and watch them here.",
            "pages/1_Launch.py",
            "Launch a study",
            ":material/rocket_launch:",
        )
    else:
        runs = choose_runs(kept, "Studies and runs to compare")
        if not runs:
            st.caption("Choose at least one study or run.")
        else:
            st.session_state["was-live"] = is_live(runs)
            shown = shown_arms(runs)
            chosen = verdict_view.choose(shown)
            if len(shown) == 1:
                verdict_view.offer_twin(runs[0], "twin")
            st.fragment(evidence, run_every="1s" if is_live(runs) else None)(runs, chosen)
            st.subheader("Settings that differ", anchor=False)
            settings = differences({arm.title: arm.runs[0].recipe.to_dict() for arm in shown})
            if len(shown) < 2:
                st.caption("One arm: nothing to differ from.")
            elif settings.empty:
                st.caption("None: the arms are the same.")
            else:
                st.markdown(settings_table(settings))
            closer(runs, shown, chosen)
            st.caption(
                "All figures but those under Test split are of the validation split, by which one "
                "may choose. A verdict is given on whole studies, after the last epoch."
            )
