"""Explain: what the phases did to the network, and so why one order did better than another."""

import streamlit as st

from tl_engine.report.arms import arms_of
from tl_engine.report.parts import EXPLAIN
from tl_engine.report.shown_results import Results
from tl_engine.runs import RunState, summarise
from tl_engine.text import escape
from ui import frame
from ui.engine import store
from ui.section_view import show_part
from ui.selection import choose_runs

MOST_ARMS = 8
WIDTH = 460
"""Of figures that stand side by side at least, in pixels."""


def choose_arms(runs):
    """The arms to draw, each with the colour that it has among all of them."""
    arms = {arm.key: arm for arm in arms_of(runs)}
    chosen = list(arms)[:MOST_ARMS]
    if len(arms) > 1:
        chosen = st.pills(
            "Arms",
            list(arms),
            format_func=lambda key: escape(arms[key].title, 60),
            default=chosen,
            selection_mode="multi",
            key=f"arms-{hash(tuple(arms))}",
        )
    return [arm for key, arm in arms.items() if key in chosen]


with frame.page("Explain"):
    runs_store = store()
    if not any(summarise(run).state is RunState.FINISHED for run in runs_store.runs()):
        frame.empty_state("Nothing to explain yet. It begins with the first run that finishes.")
    else:
        runs = choose_runs(runs_store, "Studies and runs to explain", finished=True)
        shown = choose_arms(runs) if runs else []
        if shown:
            results = Results(runs, shown)
            for part in EXPLAIN:
                show_part(part, results, WIDTH)
        else:
            st.caption("Choose at least one study or run, and one arm.")
