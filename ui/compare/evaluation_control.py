"""Evaluations of finished runs: the button that starts one, and its progress."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from tl_engine.execution.evaluation import evaluation_seconds, start
from tl_engine.report.amounts import about, duration
from tl_engine.runs import Evaluation, Run, RunState, StudyEvaluation, StudyFolder, summarise
from tl_engine.runs.studies import folder_of
from tl_engine.text import counted
from ui import access, frame
from ui.engine import store
from ui.words import escape


@dataclass(frozen=True)
class Request:
    """What a button measures.

    Attributes:
        runs: of which those that have finished and have no result yet are measured.
        label: of the button.
        key: of its widgets.
        cost: what cannot be undone about it; where given, the button shows it, and nothing begins
            before that is confirmed.
    """

    kind: Evaluation
    runs: list[Run]
    label: str
    key: str
    cost: str = ""

    @property
    def evaluations(self) -> list[StudyEvaluation]:
        """One per study."""
        studies = {run.study.id: folder_of(run) for run in self.runs}
        return [StudyEvaluation(study, self.kind) for study in studies.values()]

    @property
    def missing(self) -> list[tuple[StudyFolder, list[Run]]]:
        """The runs that would be measured, by study."""
        found = [
            (one.study, one.missing([run for run in self.runs if run.study.id == one.study.id]))
            for one in self.evaluations
        ]
        return [(study, runs) for study, runs in found if runs]

    @property
    def pressed(self) -> str:
        """Key under which a session notes that the button was pressed and is not confirmed yet."""
        return f"{self.key}-pressed"

    def start(self) -> None:
        """Measure, in a process of its own for each study."""
        for study, runs in self.missing:
            start(store(), study, self.kind, runs)


def ask(request: Request) -> None:
    """The button that measures, or how far that is."""
    live = any(evaluation.is_alive for evaluation in request.evaluations)
    st.session_state[f"{request.key}-live"] = live
    st.fragment(_progress, run_every="1s" if live else None)(request)


@frame.guarded()
def _progress(request: Request) -> None:
    alive = [evaluation for evaluation in request.evaluations if evaluation.is_alive]
    if not alive and st.session_state.get(f"{request.key}-live"):
        st.rerun()  # what was measured belongs to the rest of the page
    for evaluation in request.evaluations:
        _show_progress(evaluation)
    if alive and access.button("Stop", icon=":material/stop:", key=f"{request.key}-stop"):
        for evaluation in alive:
            evaluation.request_stop()
    if not alive:
        _offer(request)


def _offer(request: Request) -> None:
    """The button, where there is a run to measure."""
    missing = [run for _, runs in request.missing for run in runs]
    if not missing:
        if not any(summarise(run).state is RunState.FINISHED for run in request.runs):
            st.caption("That can be measured as soon as a run has finished.")
        return
    if request.cost and request.pressed in st.session_state:
        _confirm(request)
    elif access.button(request.label, icon=":material/lab_research:", key=f"{request.key}-start"):
        if request.cost:
            st.session_state[request.pressed] = True
        else:
            request.start()
        st.rerun()
    recipes = [run.recipe for run in missing]
    seconds = evaluation_seconds(recipes, request.kind, store().measurements())
    takes = f"{about(seconds)} here" if seconds else "a time that is not known yet here"
    st.caption(
        f"It measures {counted(len(missing), 'finished run')}; that takes {takes}, and begins when "
        "nothing else trains."
    )
    access.explain()


def _confirm(request: Request) -> None:
    """What it costs, and the press that begins it; nothing is written before."""
    with st.container(border=True):
        for study, runs in request.missing:
            count = counted(len(runs), "finished run")
            st.markdown(f"**This cannot be undone.** {escape(study.title)}: {count}.")
        st.markdown(request.cost)
        with st.container(horizontal=True):
            confirmed = access.button(
                request.label,
                type="primary",
                icon=":material/lock_open:",
                key=f"{request.key}-confirm",
            )
            if confirmed or st.button("Not now", key=f"{request.key}-no"):
                del st.session_state[request.pressed]
                if confirmed:
                    request.start()
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
