"""Compare: what any runs allow one to say, their curves, scores, settings and mistakes."""

import streamlit as st

from tl_engine.report.arms import arms_of
from tl_engine.report.parts import CLOSER, EVIDENCE, SETTINGS
from tl_engine.report.shown_results import is_live, results_of
from tl_engine.runs import split_sound
from ui import frame
from ui.compare import verdict_view
from ui.compare.part_views import show, show_alone
from ui.section_view import show_part
from ui.selection import choose_runs, say_broken

MOST_LOOKED_AT = 50
"""Of more arms nothing is looked at more closely unasked."""


def evidence(runs, contrast):
    """The verdict, the curves and the scores, read again while something trains."""
    with frame.guarded():
        runs, broken = split_sound(runs)  # one may have been damaged or deleted since
        say_broken(broken)
        if not runs:
            return
        any_budget = bool(st.session_state.get("any-budget", False))
        results = results_of(runs, contrast, any_budget=any_budget)
        for part in EVIDENCE:
            if not part.needs_two_arms or not results.history.empty:
                show(part, results)
        if not broken and not is_live(runs) and st.session_state.get("was-live"):
            st.session_state["was-live"] = False
            st.rerun()


def closer(results):
    """One subject at a time of what is behind the scores."""
    offered = [
        name
        for name, parts in CLOSER.items()
        if results.contrast or not all(part.needs_two_arms for part in parts)
    ]
    few = len(results.arms) <= MOST_LOOKED_AT
    chosen = st.segmented_control(
        "Look closer", offered, default=offered[0] if few else None, required=few, key="closer"
    )
    for part in CLOSER[chosen] if chosen else ():
        show_alone(part, results)


with frame.page("Compare"):
    runs_store = frame.store()
    if unreadable := len(runs_store.unreadable()):
        words = "1 study" if unreadable == 1 else f"{unreadable} studies"
        st.caption(f":material/warning: {words} cannot be read: Overview says why.")
    if not any(True for _ in runs_store.runs()):
        frame.empty_state("Nothing to compare yet. Launch both orders and watch them here.")
    elif not (runs := choose_runs(runs_store, "Studies and runs to compare")):
        st.caption("Choose at least one study or run.")
    else:
        st.session_state["was-live"] = is_live(runs)
        contrast = [arm.key for arm in verdict_view.choose_contrast(arms_of(runs)) or ()]
        results = results_of(runs, contrast)
        if len(results.arms) == 1:
            verdict_view.offer_twin(runs[0])
        st.fragment(evidence, run_every="1s" if is_live(runs) else None)(runs, contrast)
        show_part(SETTINGS, results)
        closer(results)
        st.caption(
            "All figures but those under Test split are of the validation split, by which one "
            "may choose. A verdict is given on whole studies, after the last epoch."
        )
