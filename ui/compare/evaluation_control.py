"""Evaluations of finished runs: the button that starts one, and its progress."""

from __future__ import annotations

import streamlit as st

from tl_engine.execution.cost import evaluation_seconds
from tl_engine.execution.evaluation import start
from tl_engine.runs import Evaluation, Run, RunState, StudyEvaluation, StudyFolder, summarise
from ui import access, frame
from ui.engine import store
from ui.words import about, duration, escape


def ask(kind: Evaluation, runs: list[Run], label: str, key: str, cost: str = "") -> None:
    """The button that asks those of the runs that have not answered, or how far that is.

    Args:
        label: of the button.
        key: of its widgets.
        cost: what cannot be undone about it; where given, the button shows it, and nothing begins
            before that is confirmed.
    """
    evaluations = _evaluations(kind, runs)
    live = any(evaluation.is_alive for evaluation in evaluations)
    st.session_state[f"{key}-live"] = live
    st.fragment(_progress, run_every="1s" if live else None)(kind, runs, label, key, cost)


@frame.guarded()
def _progress(kind: Evaluation, runs: list[Run], label: str, key: str, cost: str) -> None:
    evaluations = _evaluations(kind, runs)
    alive = [evaluation for evaluation in evaluations if evaluation.is_alive]
    if not alive and st.session_state.get(f"{key}-live"):
        st.rerun()  # what was measured belongs to the rest of the page
    for evaluation in evaluations:
        _say(evaluation)
    if alive and access.button("Stop", icon=":material/stop:", key=f"{key}-stop"):
        for evaluation in alive:
            evaluation.request_stop()
    if not alive:
        _offer(evaluations, kind, runs, label, key, cost)


def _offer(
    evaluations: list[StudyEvaluation],
    kind: Evaluation,
    runs: list[Run],
    label: str,
    key: str,
    cost: str,
) -> None:
    """The button, where there is somebody to ask."""
    lacking = {e.study.id: e.missing(_of(e, runs)) for e in evaluations}
    missing = [run for some in lacking.values() for run in some]
    if not missing:
        if not any(summarise(run).state is RunState.FINISHED for run in runs):
            st.caption("That can be measured as soon as a run has finished.")
        return
    asked = [(e.study, some) for e in evaluations if (some := lacking[e.study.id])]
    if cost and _pressed(key) in st.session_state:
        _confirm(kind, asked, label, key, cost)
    elif access.button(label, icon=":material/lab_research:", key=f"{key}-start"):
        for study, runs in asked if not cost else []:
            start(store(), study, kind, runs)
        if cost:
            st.session_state[_pressed(key)] = True
        st.rerun()
    seconds = evaluation_seconds([r.recipe for r in missing], kind, store().measurements())
    takes = f"{about(seconds)} here" if seconds else "a time that is not known yet here"
    st.caption(
        f"It measures {_count(missing)}; that takes {takes}, and begins when nothing else trains."
    )
    access.explain()


def _confirm(
    kind: Evaluation,
    asked: list[tuple[StudyFolder, list[Run]]],
    label: str,
    key: str,
    cost: str,
) -> None:
    """What it costs, and the press that begins it; nothing is written before."""
    with st.container(border=True):
        for study, runs in asked:
            st.markdown(f"**This cannot be undone.** {escape(study.title)}: {_count(runs)}.")
        st.markdown(cost)
        with st.container(horizontal=True):
            if access.button(
                label, type="primary", icon=":material/lock_open:", key=f"{key}-confirm"
            ):
                del st.session_state[_pressed(key)]
                for study, runs in asked:
                    start(store(), study, kind, runs)
                st.rerun()
            if st.button("Not now", key=f"{key}-no"):
                del st.session_state[_pressed(key)]
                st.rerun()


def _pressed(key: str) -> str:
    """Key under which a session notes that the button was pressed and is not confirmed yet."""
    return f"{key}-pressed"


def _say(evaluation: StudyEvaluation) -> None:
    """Where its process is, or why the last one ended before its time."""
    progress = evaluation.progress
    if ended := progress.get("ended"):
        st.warning(escape(ended, 600), icon=":material/info:")
    if stage := progress.get("stage"):
        where = f", run {progress['run']} of {progress['runs']}" if "run" in progress else ""
        left = progress.get("seconds_left")
        more = f" · {duration(left)} left" if left is not None else ""
        st.progress(progress.get("fraction", 0.0), f"{stage}{where}{more}")


def _evaluations(kind: Evaluation, runs: list[Run]) -> list[StudyEvaluation]:
    studies = {run.study.id: run.study for run in runs}
    return [StudyEvaluation(study, kind) for study in studies.values()]


def _of(evaluation: StudyEvaluation, runs: list[Run]) -> list[Run]:
    return [run for run in runs if run.study.id == evaluation.study.id]


def _count(runs: list[Run]) -> str:
    return f"{len(runs)} finished run" + ("" if len(runs) == 1 else "s")
