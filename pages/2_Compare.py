"""Compare: what any runs allow one to say, their curves, scores, settings and mistakes."""

from math import isnan

import pandas as pd
import streamlit as st

from tl_engine.analysis.settings import differences
from tl_engine.catalog.datasets import dataset
from tl_engine.runs import joined_history, summarise
from tl_engine.work import sizes_of
from ui import contrast, frame, verdicts
from ui.compare_parts import (
    arm_titles,
    arms_of,
    confusions,
    per_class_frame,
    show_table,
    shown_arms,
)
from ui.engine import store
from ui.figures import (
    arm_summary,
    confusion_difference,
    confusion_matrix,
    final_scores,
    learning_curves,
    per_class,
    score_table,
)
from ui.selection import choose_runs
from ui.text import duration, percent, plain, table

METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss"}
AXES = {"epoch": "Epochs", "images": "Images seen", "seconds": "Seconds"}


def is_live(runs):
    """Whether there will be more of any of them."""
    return any(not summarise(run).state.is_over for run in runs)


def evidence(runs, chosen):
    """The verdict, the curves and the scores, re-read while something trains."""
    with frame.guarded():
        history = joined_history(runs)
        scored = None
        if chosen and not history.empty:
            scored = scores_of(history, runs)
            judged(runs, chosen, scored, history)
        curves(history)
        if not history.empty:
            scores(scores_of(history, runs) if scored is None else scored)
        if not is_live(runs) and st.session_state.get("was-live"):
            st.session_state["was-live"] = False
            st.rerun()


def scores_of(history, runs):
    """The score of every run."""
    validation = {run.id: sizes_of(summarise(run).recipe).validation for run in runs}
    return score_table(history, validation)


def judged(runs, chosen, scored, history):
    """The verdict on a contrast, with what it rests on."""
    arms = shown_arms(runs)
    said = verdicts.show(arms, chosen, scored, history)
    if said is None:
        return
    contrast.show_story(*chosen, history)
    halves = st.grid(2, min_column_width=480, gap="medium")
    with halves.cell():
        contrast.show_pairs(*said)
    with halves.cell():
        contrast.show_fan(*said)


def curves(history):
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
        )
        train = st.toggle(
            "Training images too",
            key="train",
            help="Measured like validation: in inference mode after the epoch, on a fixed "
            "sample of training images.",
        )
    if history.empty:
        st.info(
            "The first epoch has not ended yet; its point appears here by itself.",
            icon=":material/hourglass_top:",
        )
    st.plotly_chart(
        learning_curves(history, metric, axis, train),
        key="curves",
        alt=f"{METRICS[metric]} per run and arm",
    )


def scores(scored):
    """Every seed as a point, and the table behind the points."""
    st.subheader("Scores", anchor=False)
    show_table(_readable(scored))
    halves = st.grid(2, min_column_width=480, gap="medium")
    with halves.cell():
        points = final_scores(scored)
        st.plotly_chart(points, key="points", alt="Final validation accuracy per seed")
    with halves.cell():
        summary = arm_summary(scored)
        if (summary["n"] > 1).any():
            show_table(_readable_arms(summary))
        st.caption(
            "Final: after the last epoch. Best: the highest of all epochs, chosen after looking, "
            "so it flatters. The interval (Wilson, 95 %) says how far the count alone can be off; "
            "it does not say which arm is better. Cold: with nothing computed or traced "
            "before; spent: with what other runs had left."
        )


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


def _readable(scored):
    """The score table in words and percentages."""
    rows = [
        {
            "Arm": row.arm,
            "Pair": row.seed,
            "Final": percent(row.final),
            "Right": "–" if isnan(row.correct) else f"{row.correct:,.0f} of {row.total:,}",
            "95 %": f"{percent(row.low)} – {percent(row.high)}",
            "Best": percent(row.best),
            "in epoch": "–" if isnan(row.best_epoch) else f"{row.best_epoch:.0f}",
            "Training": percent(row.train_accuracy),
            "Time, cold": duration(row.cold_seconds),
            "Time spent": duration(row.seconds),
        }
        for row in scored.itertuples()
    ]
    return pd.DataFrame(rows).set_index("Arm")


def confusion(arms, titles):
    """Confusion matrices of one arm or two, and their difference."""
    counts = {key: confusions(runs) for key, runs in arms.items()}
    done = [key for key, value in counts.items() if value is not None]
    st.subheader("What is mistaken for what", anchor=False)
    if not done:
        st.caption("Confusions appear when a run has finished.")
        return
    shown = {key: plain(title) for key, title in titles.items()}
    left, right = st.columns(2)
    with left:
        first = st.selectbox("Arm", done, format_func=shown.get, key="first")
    data = dataset(arms[first][0].recipe.dataset)
    same_data = [k for k in done if arms[k][0].recipe.dataset == data.name and k != first]
    with right:
        second = st.selectbox(
            "Against", same_data, format_func=shown.get, key="second", disabled=not same_data
        )
    names = list(data.class_names)
    halves = st.grid(2, min_column_width=480)
    for place, key in enumerate(key for key in (first, second) if key is not None):
        with halves.cell():
            st.plotly_chart(
                confusion_matrix(counts[key], names, titles[key]),
                key=f"confusion-{place}",
                alt=f"Confusion matrix of {shown[key]}",
            )
    if second is not None:
        figure = confusion_difference(
            counts[first], counts[second], names, titles[first], titles[second]
        )
        st.plotly_chart(figure, key="difference", alt="Difference of the two confusion matrices")
    frame_ = per_class_frame({key: arms[key] for key in done if key in (first, second)}, titles)
    st.plotly_chart(per_class(frame_), key="per-class", alt="Accuracy per class and arm")


with frame.page("Compare"):
    kept = store()
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
            chosen = verdicts.choose(shown_arms(runs))
            if len(arms_of(runs)) == 1:
                verdicts.offer_twin(runs[0], "twin")
            st.fragment(evidence, run_every="1s" if is_live(runs) else None)(runs, chosen)
            arms = arms_of(runs)
            titles = arm_titles(arms)
            st.subheader("Settings that differ", anchor=False)
            settings = differences({titles[k]: r[0].recipe.to_dict() for k, r in arms.items()})
            if len(arms) < 2:
                st.caption("One arm: nothing to differ from.")
            elif settings.empty:
                st.caption("None: the arms are the same.")
            else:
                st.markdown(table(settings))
            confusion(arms, titles)
            st.caption(
                "All figures are of the validation split. The test split is measured once at the "
                "end of a run and kept out of comparisons, so that nothing is chosen by it. Which "
                "order is better is said of whole studies whose two arms differ in nothing else."
            )
