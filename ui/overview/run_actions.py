"""What one can do with selected runs and their studies."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from tl_engine.execution.launcher import resume
from tl_engine.runs import Run, RunState, StudyFolder, summarise
from tl_engine.runs.run_outputs import bytes_on_disk
from tl_engine.runs.run_requests import request_stop
from tl_engine.runs.studies import folder_of
from tl_engine.text import counted, escape, lines, plain
from ui import access
from ui.compare import verdict_view
from ui.frame import guarded, store


def show(runs: list[Run]) -> None:
    """Draw a button for each."""
    states = {run.id: summarise(run).state for run in runs}
    studies = list({run.study.id: folder_of(run) for run in runs}.values())

    def those(fits: Callable[[RunState], bool]) -> list[Run]:
        return [run for run in runs if fits(states[run.id])]

    with st.container(horizontal=True, key="actions"):
        _offer_stop(those(lambda state: not state.is_over))
        _offer_resume(those(lambda state: state.is_resumable))
        _offer_pages(runs, those(lambda state: state is RunState.FINISHED))
        if len(studies) == 1:
            verdict_view.offer_twin(runs[0])
        _offer_study_actions(studies)
    access.explain()


def size_on_disk(runs: list[Run]) -> str:
    """What they take on disk, in words: "13.5 MB"."""
    count: float = sum(map(bytes_on_disk, runs))
    if count < 1000:
        return f"{count} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"


def _offer_stop(alive: list[Run]) -> None:
    if alive and access.button(f"Stop {_count(alive)}", icon=":material/stop:", key="stop"):
        for run in alive:
            request_stop(run)
        st.rerun()


def _offer_resume(resumable: list[Run]) -> None:
    if resumable and access.button(
        f"{_verb(resumable)} {_count(resumable)}", icon=":material/play_arrow:", key="resume"
    ):
        for run in resumable:
            resume(run.id, store())
        st.rerun()


def _verb(runs: list[Run]) -> str:
    """A run goes on from its last commit; without one, or damaged, it begins again."""
    states = [summarise(run) for run in runs]
    fresh = all(s.state is RunState.DAMAGED or not s.accuracies for s in states)
    return "Restart" if fresh else "Resume"


def _offer_pages(runs: list[Run], finished: list[Run]) -> None:
    """Lead to the pages that show runs."""
    if st.button("Compare", icon=":material/compare_arrows:", key="compare"):
        _open("pages/2_Compare.py", runs)
    if finished and st.button("Classify", icon=":material/image_search:", key="classify"):
        _open("pages/3_Classify.py", finished[:2])


def _open(page: str, runs: list[Run]) -> None:
    st.switch_page(page, query_params={"ids": ",".join(run.id for run in runs)})


def _offer_study_actions(studies: list[StudyFolder]) -> None:
    """Clone, rename and delete; of several studies only the last."""
    study, several = studies[0], len(studies) > 1
    one_only = "Select rows of one study for this." if several else None
    if st.button(
        "Clone into Launch",
        icon=":material/content_copy:",
        key="clone",
        disabled=several,
        help=one_only,
    ):
        st.switch_page("pages/1_Launch.py", query_params={"clone": study.id})
    if access.button(
        "Rename or note", icon=":material/edit:", key="rename", disabled=several, help=one_only
    ):
        _rename(study)
    label = f"Delete {len(studies)} studies" if several else "Delete study"
    if access.button(label, icon=":material/delete:", key="delete"):
        _delete(studies)


@st.dialog("Rename or note", icon=":material/edit:")
@guarded()
def _rename(study: StudyFolder) -> None:
    title = st.text_input("Title", plain(study.title), key="new-title")
    note = st.text_area(
        "Note", lines(study.note), key="new-note", placeholder="What did you learn?"
    )
    if access.button("Save", type="primary", key="save-label"):
        study.label(title, note)
        st.rerun()


@st.dialog("Delete for good?", icon=":material/delete:")
@guarded()
def _delete(studies: list[StudyFolder]) -> None:
    for study in studies:
        runs = study.runs()
        st.markdown(
            f"**{escape(study.title)}** with {_count(runs)}, {size_on_disk(runs)}, launched "
            f"{study.created:%d %b %Y %H:%M}, will be gone for good."
        )
    label = "Delete for good" if len(studies) == 1 else f"Delete all {len(studies)} for good"
    if access.button(label, type="primary", icon=":material/delete:", key="confirm-delete"):
        for study in studies:
            store().delete(study.id)
        st.session_state.selected = []
        st.rerun()


def _count(runs: list[Run]) -> str:
    return counted(len(runs), "run")
