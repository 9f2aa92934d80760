"""Mistakes as pictures: the surest ones, and the classes that are confused most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import streamlit as st

from tl_engine.analysis.confusion import confusion_counts
from tl_engine.analysis.misclassified import confused_pairs, misclassified
from tl_engine.analysis.predictions import Predictions
from ui import frame
from ui.arms import ShownArm
from ui.compare.dataset_pictures import show_pictures, show_some
from ui.compare.saved_predictions import choose_pairs, counted_per_seed, finished_pairs, pooled
from ui.words import escape, plain

COUPLES = 5
"""So many couples of classes are shown with pictures."""
EXAMPLES = 8
SUREST, CONFUSED = "The surest", "Classes confused most"


@st.fragment
@frame.guarded()
def show_mistakes(arms: Sequence[ShownArm]) -> None:
    """One arm's mistakes: those made with most confidence, or by the classes it confuses."""
    st.subheader("Mistakes", anchor=False)
    done = {arm.key: arm for arm in arms if finished_pairs(arm)}
    if not done:
        st.caption("Mistakes appear when a run has finished.")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = st.selectbox(
            "Arm",
            list(done),
            format_func=lambda key: plain(done[key].title),
            key="mistakes-arm",
            width=320,
        )
        arm, runs = done[key], finished_pairs(done[key])
        pairs = choose_pairs(list(runs), "mistakes-pair")
        said = pooled(runs, pairs)
        kind = st.segmented_control(
            "Show", [SUREST, CONFUSED], default=SUREST, required=True, key="mistakes-kind"
        )
    counted_per_seed(len(pairs))
    if kind == SUREST:
        show_pictures([arm], [said], misclassified(said), "mistakes")
    else:
        _show_confused(arm, said)


def _show_confused(arm: ShownArm, said: Predictions) -> None:
    """Couples of classes that are taken for one another, each with its surest mistakes."""
    names = arm.runs[0].recipe.described_dataset.class_names
    couples = confused_pairs(confusion_counts(said.labels, said.predicted, said.classes))
    mistakes = misclassified(said)
    for couple in couples.head(COUPLES).to_dict("records"):
        among = [couple["one"], couple["other"]]
        one, other = (escape(names[place]) for place in among)
        st.markdown(
            f"**{one} and {other}**: {couple['images']:,} mistakes; {one} taken for {other} "
            f"{couple['one_as_other']:,}, {other} for {one} {couple['other_as_one']:,}"
        )
        theirs = np.isin(said.labels, among) & np.isin(said.predicted, among)
        show_some(arm, said, mistakes[theirs[mistakes]], EXAMPLES)
    more = len(couples) - COUPLES
    st.caption(f"{more:,} more couples of classes are confused." if more > 0 else "No more.")
