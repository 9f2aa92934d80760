"""What is to be known of the first of the selected runs, and their models."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

import streamlit as st

from tl_engine.analysis.loss_floor import floor_warning
from tl_engine.charts.svg_pictures import shares, tree_svg
from tl_engine.execution.launcher import launcher
from tl_engine.recipe import Recipe
from tl_engine.report.amounts import duration
from tl_engine.runs import Run, RunState, Summary, summarise
from tl_engine.runs.run_outputs import (
    EXPORTS,
    MODEL_FORMATS,
    log_tail,
    model_bytes,
    model_file,
)
from tl_engine.runs.studies import folder_of
from tl_engine.study import Study
from tl_engine.text import counted, escape, lines, plain
from ui import access
from ui.frame import guarded, store
from ui.overview import run_actions
from ui.overview.run_actions import size_on_disk
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
        run_actions.show(runs)
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


def _facts(run: Run) -> None:
    summary = summarise(run)
    who = f"**{escape(run.study.title)}** · {escape(run.arm)} · pair {run.pair}"
    st.markdown(f"{who} · {state_label(summary.state)}")
    if run.study.note:
        st.caption(escape(run.study.note, 1000))
    _show_problem(summary)
    st.caption(" · ".join(map(escape, _figures(run, summary))))
    if summary.recipe and (warning := floor_warning(summary.recipe)):
        st.warning(escape(warning), icon=":material/vertical_align_bottom:")
    _show_log(run, summary.state)
    if model_file(run):
        _show_models(run)


def _show_problem(summary: Summary) -> None:
    """Why the run did not end as it should."""
    if summary.state is RunState.INTERRUPTED:
        st.warning(
            "Its process died without a word (killed, or a power cut). What it committed is "
            "kept, and it goes on from there by itself.",
            icon=":material/bolt:",
        )
    if summary.state in (RunState.FAILED, RunState.DAMAGED):
        st.error(escape(summary.sentence, 600), icon=":material/error:")


def _figures(run: Run, summary: Summary) -> Iterator[str]:
    """What there is to be known of it in numbers."""
    if summary.recipe:
        yield summary.recipe.order
    yield f"{size_on_disk([run])} on disk"
    for name, seconds in summary.times._asdict().items():
        if seconds is not None:
            yield f"{name} time {duration(seconds)}"
    if summary.state is not RunState.DAMAGED:
        yield from _resumptions(run)
        yield from _checks(run)


def _resumptions(run: Run) -> Iterator[str]:
    """Which of its epochs one uninterrupted process did not compute."""
    if resumes := sum(not attempt["asked"] for attempt in run.attempts()):
        yield f"went on by itself {counted(resumes, 'time')}"
    if taken := [line["shared"] for line in run.epochs() if "shared" in line]:
        yield f"{len(taken)} epochs taken over from {taken[-1]}"


def _checks(run: Run) -> Iterator[str]:
    """Whether its bits can be compared, and how many frozen parameters each phase changed."""
    if not run.is_bit_comparable:
        yield "went on under other versions or on another machine: not bit-comparable"
    for phase in run.scores.get("phases", []):
        frozen, changed = phase["audit"]["frozen"], phase["audit"]["frozen_changed"]
        yield f"phase {phase['phase'] + 1}: {frozen:,} frozen parameters, {changed:,} changed"


def _show_log(run: Run, state: RunState) -> None:
    if state in (RunState.FAILED, RunState.INTERRUPTED) and log_tail(run):
        with st.expander("End of its log", expanded=state is RunState.FAILED):
            st.code(lines(log_tail(run)), language=None, wrap_lines=True)


def _show_models(run: Run) -> None:
    """The model in each format, looked for every second while one of them is written."""
    missing = [suffix for suffix in EXPORTS if model_file(run, suffix) is None]
    is_made = any(f"asked-{suffix}-{run.id}" in st.session_state for suffix in missing)
    st.fragment(_models, run_every="1s" if is_made else None)(run)


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
