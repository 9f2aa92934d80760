"""Explain: what the phases did to the network, and so why one order did better than another."""

import streamlit as st

from tl_engine.report.arms import arms_of
from tl_engine.report.parts import EXPLAIN
from tl_engine.report.shown_results import Results
from tl_engine.runs import RunState, summarise
from tl_engine.text import escape
from ui import frame
from ui.section_view import show_part
from ui.selection import choose_runs

MOST_ARMS = 8
WIDTH = 460
"""Of figures that stand side by side at least, in pixels."""


def choose_arms(runs):
    """The arms to draw, each with the colour that it has among all of them."""
    arms = arms_of(runs)
    titles = {arm.key: escape(arm.title, 60) for arm in arms}
    chosen, key = list(titles)[:MOST_ARMS], f"arms-{hash(tuple(titles))}"
    if len(arms) > 1:
        chosen = frame.choose(st.pills, "Arms", titles, key, default=chosen, selection_mode="multi")
    return [arm for arm in arms if arm.key in chosen]


with frame.page("Explain"):
    runs_store = frame.store()
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
