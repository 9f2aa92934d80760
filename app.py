"""Overview: every study and run, what is running now, and what one can do with them."""

from collections.abc import Iterable

import streamlit as st

from tl_engine.charts.svg_pictures import phases_svg
from tl_engine.execution.launcher import launcher
from tl_engine.report.amounts import duration
from tl_engine.runs import Run, RunState, RunStore, Summary, ledger, summarise
from tl_engine.runs.run_requests import request_stop
from tl_engine.text import escape
from ui import access, frame, runs_table, server
from ui.overview import question_cards, run_card

SHOWN = 300
"""Rows in the table at once; the filters find the others."""
MAXIMUM_WARNINGS = 3
RunAndSummary = tuple[Run, Summary]
"""A run and how it stands."""


def running_now(alive: Iterable[RunAndSummary]) -> None:
    """A card for each run that has a process: where it is, and how long it will take."""
    for run, summary in alive:
        left = summary.progress.get("seconds_left")
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{escape(run.study.title)}**", width="content")
                st.markdown(f"{escape(run.arm)}, pair {run.pair}", width="stretch")
                offer_stop(run, summary.state)
            if summary.recipe:
                st.image(phases_svg(run_card.phases_of(summary.recipe)))
            if summary.state is not RunState.RUNNING:
                st.warning(escape(summary.sentence), icon=":material/warning:")
                continue
            words = runs_table.phase_words(summary)
            words += f" · about {duration(left)} left" if left is not None else ""
            st.progress(min(summary.progress.get("fraction", 0.0), 1.0), text=escape(words))


def offer_stop(run: Run, state: RunState) -> None:
    """The button that stops it, or ends its process where that does not respond."""
    if state is RunState.NOT_RESPONDING:
        if access.button("End its process", icon=":material/stop:", key=f"end-{run.id}"):
            request_stop(run)
            launcher().end_process(run)
            st.rerun()
    elif run.stop_requested:
        st.badge("stopping", icon=":material/hourglass_top:", color="orange")
    elif access.button("Stop", icon=":material/stop:", key=f"stop-now-{run.id}"):
        request_stop(run)
        st.rerun()


def damaged(runs_store: RunStore) -> None:
    """A sentence for each study whose own files are damaged; its runs are shown all the same."""
    broken = [study for study in (*runs_store.unreadable(), *runs_store.studies()) if study.damage]
    for study in broken[:MAXIMUM_WARNINGS]:
        st.warning(
            f"Study {escape(study.id)}: {escape(study.damage)} Nothing was deleted, and no other "
            "study is affected.",
            icon=":material/warning:",
        )
    if len(broken) > MAXIMUM_WARNINGS:
        st.caption(f"and {len(broken) - MAXIMUM_WARNINGS} more damaged studies.")
    if ledger.read(runs_store.root).is_damaged:
        st.warning(
            f"{ledger.DAMAGED}. All runs count as computed before, and no verdict has a planned "
            "analysis, until the file is as it was.",
            icon=":material/warning:",
        )


def filtered(standings: list[RunAndSummary]) -> list[RunAndSummary]:
    """The runs, with their summaries, that the filters leave."""
    present = {summary.state for _, summary in standings}
    states = [state.value for state in RunState if state in present]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.pills(
            "State", states, selection_mode="multi", label_visibility="collapsed", key="states"
        )
        text = st.text_input(
            "Search",
            placeholder="Search study or arm",
            label_visibility="collapsed",
            icon=":material/search:",
            key="search",
            width=260,
        )
    return [
        (run, summary)
        for run, summary in standings
        if (not wanted or summary.state.value in wanted)
        and text.casefold() in f"{run.study.title} {run.arm}".casefold()
    ]


def summaries(runs_store: RunStore) -> list[RunAndSummary]:
    """Every run and how it stands, newest study first."""
    return [(run, summarise(run)) for run in runs_store.runs()]


def overview(read: list[list[RunAndSummary]]) -> None:
    """Everything that changes by itself; what was read for the page is not read again for its first
    picture."""
    with frame.guarded():
        runs_store = frame.store()
        standings = read.pop() if read else summaries(runs_store)
        if any(summary.state.is_waiting for _, summary in standings):
            launcher().ensure_worker(runs_store)
        running_now((run, summary) for run, summary in standings if summary.state.is_alive)
        damaged(runs_store)
        question_cards.show(standings)
        table(standings)


def table(standings: list[RunAndSummary]) -> None:
    """The runs that the filters leave, and the card of those that are selected."""
    shown = filtered(standings)
    rows(shown)
    selected = st.session_state.get("selected", [])
    if chosen := [run for run, _ in standings if run.id in selected]:
        run_card.show(chosen)
    elif shown:
        st.caption(
            "Select rows to stop, resume, compare, classify, clone, rename or delete. "
            "Click a column to sort."
        )
        access.explain()


def rows(shown: list[RunAndSummary]) -> None:
    """The table of the newest of them, and how many others there are."""
    if shown:
        runs_table.choose(shown[:SHOWN])
    else:
        st.caption("No run matches these filters.")
    if len(shown) > SHOWN:
        st.caption(f"The newest {SHOWN:,} of {len(shown):,} runs: filter or search for the others.")


if __name__ == "__main__":  # a visit
    with frame.page("Overview"):
        if not any(frame.store().paths()):
            st.title("Fine-tune first, or freeze first?", anchor=False)
            st.markdown(
                "A network trained on ImageNet learns your images in two phases. Thaw trains both "
                "orders for real, on this machine, and shows which one is better."
            )
            frame.empty_state(
                "No runs yet. Both orders on 1,000 small pictures take about a minute.",
                "Launch the first study",
            )
        else:
            standings = summaries(frame.store())
            busy = any(not summary.state.is_over for _, summary in standings)
            st.fragment(overview, run_every="2s" if busy else None)([standings])
else:  # `streamlit run app.py` imports this file for the server that runs it at every visit
    app = st.App(__file__, **server.options())
