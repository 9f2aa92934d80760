"""Launch: choose the order of phases and everything else, see what it will take, start."""

import json
import os
import time
from dataclasses import replace
from itertools import cycle

import streamlit as st

from tl_engine.analysis.contrast import differences, narrow
from tl_engine.analysis.loss_floor import floor_warning
from tl_engine.analysis.work import Estimate, estimate, missing_rates, sizes_of
from tl_engine.catalog.presets import PRESETS
from tl_engine.charts.svg_pictures import phases_svg
from tl_engine.data.registry import checked_study
from tl_engine.execution.cost import Plan, plan
from tl_engine.execution.launcher import launch, launcher
from tl_engine.recipe import Phase, Recipe
from tl_engine.report.amounts import about, duration
from tl_engine.runs import summarise
from tl_engine.runs.evidence import Evidence
from tl_engine.storage.lease import is_held
from tl_engine.study import Arm, Study
from tl_engine.text import counted, escape, plain
from ui import access, browser, frame
from ui.launch import study_form
from ui.launch.phases_form import trainable_title
from ui.overview.run_card import phases_of
from ui.section_view import table

SETTLED_SECONDS = 1.5


def begin() -> None:
    """Fill the form once: from the study to clone, or from the default preset."""
    clone, state = st.query_params.get("clone", ""), st.session_state
    if state.get("form-began") == clone and "form-title" in state:
        return
    if clone:
        folder = frame.store().study(clone)
        study = checked_study(folder.study)
        study_form.fill_from_study(study, f"{plain(folder.title, 180)} again")
    state["form-fresh"] = state["form-wants-fresh"] = bool(clone)
    state.preset = None if clone else "try-it"
    start_again()
    state["form-began"] = clone


def start_again() -> None:
    """Fill the form from the preset that was just chosen."""
    if st.session_state.preset:
        study_form.fill_from_preset(PRESETS[st.session_state.preset])


def preview(study: Study) -> None:
    """Each arm: its phases, what they train, how long it takes here."""
    with frame.guarded():
        measurements = frame.store().measurements()
        missing = any(missing_rates(arm.recipe, measurements) for arm in study.arms)
        if missing and access.may_change():
            measure(study)
        columns = cycle(st.columns(min(len(study.arms), 3)))
        for arm, column in zip(study.arms, columns, strict=False):
            with column, st.container(border=True):
                show_arm(study, arm, estimate(arm.recipe, measurements))
        if total := planned(study):
            show_total(total)
        was_missing = st.session_state.get("was-missing")
        st.session_state["was-missing"] = missing
        if was_missing and not missing:
            st.rerun()


def planned(study: Study) -> Plan | None:
    """How its runs are trained, and how long they take; None where steps were not measured."""
    return plan(
        study, frame.store().measurements(), frame.store().cached_phase_ends(), os.cpu_count() or 1
    )


def with_seeds(study: Study) -> Study:
    """The study with seeds that no study of its recipes has used, where somebody wants that."""
    evidence = Evidence(frame.store())
    seen = evidence.seen_runs(study)
    if not seen and not evidence.is_damaged:
        return study
    if evidence.is_damaged:
        st.warning(
            "What deleted studies computed cannot be read: all runs count as computed before.",
            icon=":material/warning:",
        )
    fresh = replace(study, first_pair=evidence.fresh_pair(study))
    st.session_state.setdefault("form-fresh", st.session_state["form-wants-fresh"])
    wants = st.toggle(
        "Fresh seeds",
        key="form-fresh",
        help=f"Pairs {fresh.first_pair} and on, which no study of these recipes has used.",
    )
    st.session_state["form-wants-fresh"] = wants
    text = computed_before(len(seen), planned(study), planned(fresh))
    if wants:
        st.caption(
            f"{text}With fresh seeds every pair is new; the verdict pools them with the old."
        )
    else:
        st.warning(
            f"{text}Pairs that were computed before the question was fixed count once and have no "
            "planned analysis: the verdict is by the interval that allows for looking. Fresh seeds "
            "add evidence.",
            icon=":material/visibility:",
        )
    return fresh if wants else study


def computed_before(seen: int, reused: Plan | None, new: Plan | None) -> str:
    """How many runs were, and how long the study takes with their seeds and with fresh ones."""
    runs = "1 run was" if seen == 1 else f"{seen} runs were"
    text = f"{runs} computed before, and may have been seen. "
    if reused and new:
        times = f"{about(reused.seconds)} with these seeds, {about(new.seconds)} with fresh. "
        text += times[0].upper() + times[1:]
    return text


def show_arm(study: Study, arm: Arm, expected: Estimate | None) -> None:
    """One arm's card."""
    recipe = arm.recipe
    st.markdown(f"**{escape(arm.name)}**")
    st.image(phases_svg(phases_of(recipe)), width="stretch")
    for phase, count in zip(recipe.phases, recipe.trainable_parameters(), strict=True):
        st.caption(
            f"{trainable_title(phase.trainable)}: {count:,} trainable parameters"
            + frozen_words(recipe, phase)
        )
    if warning := floor_warning(recipe):
        st.warning(escape(warning), icon=":material/vertical_align_bottom:")
    if expected is None:
        doing = (
            "measuring the time it takes here …" if access.may_change() else "time not known yet"
        )
        st.markdown(f":material/hourglass_top: {doing}")
        return
    each = f" per run, {study.pairs} runs" if study.pairs > 1 else ""
    st.markdown(f":material/timer: **{about(expected.seconds)}**{each}")
    speeds = [
        f"{speed:,.0f}" + (" on kept features" if recipe.keeps_features(phase) else "")
        for phase, speed in zip(recipe.phases, expected.images_per_second, strict=True)
    ]
    st.caption(f"Training images per second, measured here: {', then '.join(speeds)}.")


def frozen_words(recipe: Recipe, phase: Phase) -> str:
    """What becomes of the layers that a phase leaves alone."""
    if recipe.trains_everything(phase):
        return ""
    if why := recipe.why_no_features(phase):
        return f". The frozen layers are computed in every epoch: {why[0].lower()}{why[1:]}"
    return ". The frozen layers see each image once, whatever the epochs."


def show_total(total: Plan) -> None:
    """How long everything takes, and what need not be computed."""
    words = f":material/timer: All runs together: **{about(total.seconds)}**"
    if total.cold_seconds > 1.05 * total.seconds:
        words += f" instead of {duration(total.cold_seconds)}"
    if total.shared:
        words += f"; {total.shared} of {total.phases} phases are taken over from runs that began "
        words += "the same way"
    st.markdown(f"{words}.")


def measure(study: Study) -> None:
    """Start measuring, unless that would disturb a run or be disturbed by it."""
    runs_store = frame.store()
    recipes = [json.dumps(arm.recipe.to_dict()) for arm in study.arms]
    # Who is still typing would wait for the time of a recipe that nobody wants any more.
    if st.session_state.get("to-measure", ([], 0.0))[0] != recipes:
        st.session_state["to-measure"] = recipes, time.monotonic()
    settled = time.monotonic() - st.session_state["to-measure"][1] > SETTLED_SECONDS
    if is_held(runs_store.measurement_lease) or not settled:
        return
    if any(summarise(run).state.is_alive for run in runs_store.runs()):
        st.caption("The time is measured as soon as the run that trains now has ended.")
    else:
        launcher().start(runs_store, "measure", *recipes)


with frame.page("Launch"):
    begin()
    titles = {name: escape(preset.title) for name, preset in PRESETS.items()}
    frame.choose(st.pills, "Start from", titles, "preset", on_change=start_again)
    if st.session_state.preset:
        st.caption(PRESETS[st.session_state.preset].description)
    study = study_form.ask()
    if study is None:
        st.button("Launch", type="primary", icon=":material/rocket_launch:", disabled=True)
        st.caption("Something above cannot be trained: its field says why.")
    else:
        study = with_seeds(study)
        st.subheader("What will run", anchor=False)
        waiting = any(missing_rates(arm.recipe, frame.store().measurements()) for arm in study.arms)
        st.fragment(preview, run_every="1s" if waiting and access.may_change() else None)(study)
        settings = differences({arm.name: arm.recipe.to_dict() for arm in study.arms})
        if len(study.arms) > 1:
            st.caption("What differs between the arms, and nothing else does:")
            st.markdown(table(narrow(settings)))
        sizes = sizes_of(study.arms[0].recipe)
        label = f"Launch {counted(len(study.arms) * study.pairs, 'run')}"
        access.explain()
        if access.button(label, type="primary", icon=":material/rocket_launch:", key="launch"):
            browser.remember([launch(study, frame.store()).id])
            st.switch_page("app.py")
        st.caption(
            f"{sizes.train:,} images train, {sizes.validation:,} validate after every epoch, "
            f"{sizes.test:,} test images stay locked. Closing this tab stops nothing."
        )
