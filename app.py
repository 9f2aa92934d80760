"""Overview: every study and run, what is running now, and what one can do with them."""

import streamlit as st

from tl_engine.charts.phases import phases_svg
from tl_engine.launchers.local import ensure_worker
from tl_engine.runs import RunState
from ui import frame, run_card, runs_table
from ui.engine import store
from ui.text import duration, escape

REFRESH = "2s"
SORTS = {
    "Newest first": lambda row: (row["Launched"], row["id"]),
    "Best accuracy first": lambda row: row["Last"] or -1.0,
    "Longest name": lambda row: len(row["Study"]),
}


def running_now(runs):
    """A card for each run that trains: where it is, and how long it will take."""
    for run in runs:
        progress = run.progress
        left = progress.get("seconds_left")
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(f"**{escape(run.study.title)}**", width="content")
                st.markdown(f"{escape(run.arm)}, pair {run.pair}", width="stretch")
                if run.stop_requested:
                    st.badge("stopping", icon=":material/hourglass_top:", color="orange")
                elif st.button("Stop", icon=":material/stop:", key=f"stop-now-{run.id}"):
                    run.request_stop()
                    st.rerun(scope="fragment")
            st.image(phases_svg(run_card.phases_of(run.recipe)))
            words = runs_table.phase_words(run, RunState.RUNNING, 0, progress)
            words += f" · about {duration(left)} left" if left is not None else ""
            st.progress(min(progress.get("fraction", 0.0), 1.0), text=words)


def filtered(rows):
    """The rows that the filters leave."""
    states = [state.value for state in RunState if any(r["state"] is state for r in rows)]
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
    words = text.casefold()
    return [
        row
        for row in rows
        if (not wanted or row["state"].value in wanted)
        and words in f"{row['Study']} {row['Arm']}".casefold()
    ]


def overview():
    """Everything that changes by itself."""
    with frame.guarded():
        kept = store()
        ensure_worker(kept)
        runs = list(kept.runs())
        rows = [runs_table.row(run) for run in runs]
        alive = [
            run for run, row in zip(runs, rows, strict=True) if row["state"] is RunState.RUNNING
        ]
        running_now(alive)
        for broken in kept.unreadable():
            st.warning(
                f"Study {escape(broken.id)} cannot be read. Its files are untouched; the others "
                "are not affected.",
                icon=":material/warning:",
            )
        shown = filtered(rows)
        if shown:
            selected = [one for one in st.session_state.get("selected", [])]
            st.session_state.selected = runs_table.choose(shown, selected)
        else:
            st.caption("No run matches these filters.")
        by_id = {run.id: run for run in runs}
        chosen = [by_id[one] for one in st.session_state.get("selected", []) if one in by_id]
        if chosen:
            run_card.show(chosen)
        elif shown:
            st.caption(
                "Select rows to stop, resume, compare, classify, clone, rename or delete. "
                "Click a column to sort."
            )
        st.session_state.was_alive = any(not row["state"].is_over for row in rows)


with frame.page("Overview"):
    if not any(True for _ in store().studies()) and not store().unreadable():
        st.title("Fine-tune first, or freeze first?", anchor=False)
        st.markdown(
            "A network trained on ImageNet learns your images in two phases. Thaw trains both "
            "orders for real, on this machine, and shows which one is better."
        )
        frame.empty_state(
            "No runs yet. Both orders on 1,000 small pictures take about two minutes.",
            "pages/1_Launch.py",
            "Launch the first study",
            ":material/rocket_launch:",
        )
    else:
        busy = any(not run.state.is_over for run in store().runs())
        st.fragment(overview, run_every=REFRESH if busy else None)()
