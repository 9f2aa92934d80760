"""What one can do with selected runs, and what is to be known of the first of them."""

from __future__ import annotations

import time
from functools import partial

import streamlit as st

from tl_engine.analysis.loss_floor import floor_warning
from tl_engine.charts.svg_pictures import shares, tree_svg
from tl_engine.execution.launcher import launcher, resume
from tl_engine.recipe import Recipe
from tl_engine.report.amounts import duration
from tl_engine.runs import Run, RunState, StudyFolder, Summary, summarise
from tl_engine.runs.run_outputs import (
    EXPORTS,
    MODEL_FORMATS,
    bytes_on_disk,
    log_tail,
    model_bytes,
    model_file,
)
from tl_engine.runs.run_requests import request_stop
from tl_engine.runs.studies import folder_of
from tl_engine.study import Study
from tl_engine.text import counted, escape, lines, plain
from ui import access
from ui.compare import verdict_view
from ui.frame import guarded, store
from ui.runs_table import state_label

LONGEST_EXPORT = 180.0
"""Seconds after which a file that was asked for is not expected any more; most of them load
TensorFlow."""


def phases_of(recipe: Recipe) -> list[tuple[str | int, int, float]]:
    """A recipe's phases as the charts want them."""
    return [(phase.trainable, phase.epochs, phase.learning_rate) for phase in recipe.phases]


def show(runs: list[Run]) -> None:
    """The card of the selected runs."""
    with st.container(border=True):
        _actions(runs)
        for run in runs[:3]:
            with guarded():
                _facts(run)
        if len(runs) > 3:
            st.caption(f"and {len(runs) - 3} more.")
        with guarded():
            _tree(folder_of(runs[0]).study)


def _tree(study: Study) -> None:
    """What the arms of a study share, where they do."""
    paths = {}
    for number in dict.fromkeys(arm for arm, _ in study.training_order()):
        arm = study.arms[number]
        phases = enumerate(phases_of(arm.recipe), start=1)
        paths[plain(arm.name)] = [(arm.recipe.stem(n), facts) for n, facts in phases]
    if shares(list(paths.values())):
        st.caption("What its arms share is trained once for each seed:")
        st.image(tree_svg(paths))


def _actions(runs: list[Run]) -> None:
    states = {run.id: summarise(run).state for run in runs}
    alive = [run for run in runs if not states[run.id].is_over]
    resumable = [run for run in runs if states[run.id].is_resumable]
    finished = [run for run in runs if states[run.id] is RunState.FINISHED]
    studies = list({run.study.id: folder_of(run) for run in runs}.values())
    study, several = studies[0], len(studies) > 1
    one_only = "Select rows of one study for this." if several else None
    with st.container(horizontal=True, key="actions"):
        if alive and access.button(f"Stop {_count(alive)}", icon=":material/stop:", key="stop"):
            for run in alive:
                request_stop(run)
            st.rerun()
        if resumable and access.button(
            f"{_verb(resumable)} {_count(resumable)}", icon=":material/play_arrow:", key="resume"
        ):
            for run in resumable:
                resume(run.id, store())
            st.rerun()
        if st.button("Compare", icon=":material/compare_arrows:", key="compare"):
            ids = ",".join(run.id for run in runs)
            st.switch_page("pages/2_Compare.py", query_params={"ids": ids})
        if finished and st.button("Classify", icon=":material/image_search:", key="classify"):
            ids = ",".join(run.id for run in finished[:2])
            st.switch_page("pages/3_Classify.py", query_params={"ids": ids})
        if not several:
            verdict_view.offer_twin(runs[0])
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
    access.explain()


def _verb(runs: list[Run]) -> str:
    """A run goes on from its last commit; without one, or damaged, it begins again."""
    states = [summarise(run) for run in runs]
    fresh = all(s.state is RunState.DAMAGED or not s.accuracies for s in states)
    return "Restart" if fresh else "Resume"


def _facts(run: Run) -> None:
    summary = summarise(run)
    state = summary.state
    who = f"**{escape(run.study.title)}** · {escape(run.arm)} · pair {run.pair}"
    st.markdown(f"{who} · {state_label(state)}")
    if run.study.note:
        st.caption(escape(run.study.note, 1000))
    if state is RunState.INTERRUPTED:
        st.warning(
            "Its process died without a word (killed, or a power cut). What it committed is "
            "kept, and it goes on from there by itself.",
            icon=":material/bolt:",
        )
    if state in (RunState.FAILED, RunState.DAMAGED):
        st.error(escape(summary.sentence, 600), icon=":material/error:")
    st.caption(" · ".join(escape(fact) for fact in _figures(run, summary)))
    if summary.recipe and (warning := floor_warning(summary.recipe)):
        st.warning(escape(warning), icon=":material/vertical_align_bottom:")
    if state in (RunState.FAILED, RunState.INTERRUPTED) and log_tail(run):
        with st.expander("End of its log", expanded=state is RunState.FAILED):
            st.code(lines(log_tail(run)), language=None, wrap_lines=True)
    if model_file(run):
        missing = [suffix for suffix in EXPORTS if model_file(run, suffix) is None]
        is_made = any(f"asked-{suffix}-{run.id}" in st.session_state for suffix in missing)
        st.fragment(_models, run_every="1s" if is_made else None)(run)


def _figures(run: Run, summary: Summary) -> list[str]:
    """What there is to be known of it in numbers."""
    facts = [summary.recipe.order] if summary.recipe else []
    facts.append(f"{_size([run])} on disk")
    for name, seconds in summary.times._asdict().items():
        if seconds is not None:
            facts.append(f"{name} time {duration(seconds)}")
    if summary.state is RunState.DAMAGED:
        return facts
    if resumes := sum(not attempt["asked"] for attempt in run.attempts()):
        facts.append(f"went on by itself {counted(resumes, 'time')}")
    if taken := [line["shared"] for line in run.epochs() if "shared" in line]:
        facts.append(f"{len(taken)} epochs taken over from {taken[-1]}")
    if not run.is_bit_comparable:
        facts.append("went on under other versions or on another machine: not bit-comparable")
    for phase in run.scores.get("phases", []):
        frozen, changed = phase["audit"]["frozen"], phase["audit"]["frozen_changed"]
        facts.append(
            f"phase {phase['phase'] + 1}: {frozen:,} frozen parameters, {changed:,} changed"
        )
    return facts


@guarded()
def _models(run: Run) -> None:
    """The model in each format, and what makes those that are written on request."""
    with st.container(horizontal=True, vertical_alignment="center"):
        for suffix in MODEL_FORMATS:
            if model_file(run, suffix):
                st.download_button(
                    f"Model as .{suffix}",
                    data=partial(model_bytes, run, suffix),
                    file_name=f"{run.id.replace('/', '-')}.{suffix}",
                    icon=":material/download:",
                    on_click="ignore",
                    key=f"{suffix}-{run.id}",
                )
        for suffix in EXPORTS:
            _export(run, suffix)


def _export(run: Run, suffix: str) -> None:
    """Offer to write the model in one more format, or say how far that is."""
    state, began = st.session_state, f"asked-{suffix}-{run.id}"
    if model_file(run, suffix):
        if state.pop(began, None):
            st.rerun()  # nothing more is looked for
        return
    if began in state:
        if time.monotonic() - state[began] < LONGEST_EXPORT:
            st.caption(f":material/hourglass_top: The .{suffix} file is being made …")
            return
        del state[began]
        st.warning(f"No .{suffix} file was made. The end of the run's log may say why; try again.")
    title = MODEL_FORMATS[suffix].title
    if access.button(f"Make {title}", icon=":material/save:", key=f"make-{suffix}-{run.id}"):
        launcher().start(store(), "export", run.id, "--format", suffix)
        state[began] = time.monotonic()
        st.rerun()


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
            f"**{escape(study.title)}** with {_count(runs)}, {_size(runs)}, launched "
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


def _size(runs: list[Run]) -> str:
    """What they take on disk, in words: "13.5 MB"."""
    count: float = sum(map(bytes_on_disk, runs))
    if count < 1000:
        return f"{count} bytes"
    for unit in ("kB", "MB"):
        count /= 1000
        if count < 1000:
            return f"{count:.1f} {unit}"
    return f"{count / 1000:.1f} GB"
