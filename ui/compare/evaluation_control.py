"""Evaluations of finished runs: the button that starts one, and its progress."""

from __future__ import annotations

from typing import NamedTuple

import streamlit as st

from tl_engine.execution.evaluation import evaluation_seconds, start
from tl_engine.report.amounts import about, duration
from tl_engine.runs import Evaluation, Run, RunState, StudyEvaluation, StudyFolder, summarise
from tl_engine.runs.studies import folder_of
from tl_engine.text import counted, escape
from ui import access, frame

Missing = list[tuple[StudyFolder, list[Run]]]
"""The runs that would be measured, by study."""


class Request(NamedTuple):
    """What a button measures.

    Attributes:
        runs: of which those that have finished and have no result yet are measured.
        label: of the button.
        cost: what cannot be undone about it; where given, the button shows it, and nothing begins
            before that is confirmed.
    """

    kind: Evaluation
    runs: list[Run]
    label: str
    cost: str = ""

    @property
    def evaluations(self) -> list[StudyEvaluation]:
        """One per study."""
        studies = {run.study.id: folder_of(run) for run in self.runs}
        return [StudyEvaluation(study, self.kind) for study in studies.values()]

    @property
    def missing(self) -> Missing:
        """What is not measured yet."""
        by_study = [
            (one.study, one.missing(run for run in self.runs if run.study.id == one.study.id))
            for one in self.evaluations
        ]
        return [(study, runs) for study, runs in by_study if runs]


def ask(request: Request) -> None:
    """The button that measures, or how far that is."""
    live = any(evaluation.is_alive for evaluation in request.evaluations)
    st.session_state[f"{request.kind}-live"] = live
    st.fragment(_progress, run_every="1s" if live else None)(request)


@frame.guarded()
def _progress(request: Request) -> None:
    evaluations = request.evaluations
    alive = [evaluation for evaluation in evaluations if evaluation.is_alive]
    if not alive and st.session_state.get(f"{request.kind}-live"):
        st.rerun()  # what was measured belongs to the rest of the page
    for evaluation in evaluations:
        _show_progress(evaluation)
    if not alive:
        _offer(request)
    elif access.button("Stop", icon=":material/stop:", key=f"{request.kind}-stop"):
        for evaluation in alive:
            evaluation.request_stop()


def _offer(request: Request) -> None:
    """The button, where there is a run to measure."""
    missing = request.missing
    runs = [run for _, of_study in missing for run in of_study]
    if runs:
        _draw_button(request, missing)
        _say_time(request, runs)
        access.explain()
    elif not any(summarise(run).state is RunState.FINISHED for run in request.runs):
        st.caption("That can be measured as soon as a run has finished.")


def _draw_button(request: Request, missing: Missing) -> None:
    """The button that begins it, or asks for a confirmation of what it costs."""
    key, pressed = f"{request.kind}-start", f"{request.kind}-pressed"
    if request.cost and pressed in st.session_state:
        _confirm(request, missing, pressed)
    elif access.button(request.label, icon=":material/lab_research:", key=key):
        if request.cost:
            st.session_state[pressed] = True
        else:
            measure(request, missing)
        st.rerun()


def measure(request: Request, missing: Missing) -> None:
    """Start it; whoever calls this has asked who may."""
    for study, runs in missing:
        start(frame.store(), study, request.kind, runs)


def _say_time(request: Request, runs: list[Run]) -> None:
    recipes = [run.recipe for run in runs]
    seconds = evaluation_seconds(recipes, request.kind, frame.store().measurements())
    takes = f"{about(seconds)} here" if seconds else "a time that is not known yet here"
    st.caption(
        f"It measures {counted(len(runs), 'finished run')}; that takes {takes}, and begins when "
        "nothing else trains."
    )


def _confirm(request: Request, missing: Missing, pressed: str) -> None:
    """What it costs, and the press that begins it; nothing is written before."""
    with st.container(border=True):
        for study, runs in missing:
            count = counted(len(runs), "finished run")
            st.markdown(f"**This cannot be undone.** {escape(study.title)}: {count}.")
        st.markdown(request.cost)
        with st.container(horizontal=True):
            key = f"{request.kind}-confirm"
            if access.button(request.label, type="primary", icon=":material/lock_open:", key=key):
                del st.session_state[pressed]
                measure(request, missing)
                st.rerun()
            if st.button("Not now", key=f"{request.kind}-no"):
                del st.session_state[pressed]
                st.rerun()


def _show_progress(evaluation: StudyEvaluation) -> None:
    """Where its process is, or why the last one ended before its time."""
    progress = evaluation.progress
    if ended := progress.get("ended"):
        st.warning(escape(ended, 600), icon=":material/info:")
    if stage := progress.get("stage"):
        where = f", run {progress['run']} of {progress['runs']}" if "run" in progress else ""
        left = progress.get("seconds_left")
        more = f" · {duration(left)} left" if left is not None else ""
        st.progress(progress.get("fraction", 0.0), f"{stage}{where}{more}")
