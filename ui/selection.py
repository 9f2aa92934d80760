"""Choosing studies and runs: the choice is the page's address, and nothing stands in for what the
address names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple

import streamlit as st

from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, RunStore, StudyFolder, split_sound, summarise
from ui import address
from ui.runs_table import SYMBOLS
from ui.words import escape, plain

OFFERED = 500
"""Studies and runs to choose from: the newest, and what the address names."""
MOST_NAMED = 5
"""Problems and titles in words; of more it is said how many."""
MOST_ARMS, MOST_RUNS = 100, 2000
"""Of what is chosen a page shows so much: more could neither be read nor kept in memory."""
NOT_SHOWN_ALONE = (RunState.FAILED, RunState.STOPPED, RunState.QUEUED, RunState.INTERRUPTED)


class Choice(NamedTuple):
    """What can be chosen, newest first.

    Attributes:
        titles: by id.
        runs: the runs that each id stands for.
        damaged: how many runs cannot be chosen for they are damaged.
    """

    titles: dict[str, str]
    runs: dict[str, list[Run]]
    damaged: int


def choose_runs(
    store: RunStore,
    label: str,
    allowed: Callable[[Run], bool] = lambda run: True,
    maximum: int | None = None,
    studies: bool = True,
    default: int = 1,
) -> list[Run]:
    """A multi-select of studies and runs; its value is the address.

    What the address names and the page cannot show is named above it with the reason, and nothing
    takes its place.

    Args:
        allowed: which runs can be chosen; a study stands for those of its runs.
        maximum: how many can be chosen.
        studies: offer whole studies too.
        default: how many of the newest are chosen where neither the address nor the session names
            any.
    """
    folders = {study.id: study for study in store.studies()}
    wanted = address.current()
    choice = _choice(folders, allowed, studies, {one.partition("/")[0] for one in wanted.ids})
    if choice.damaged:
        words = "1 run is" if choice.damaged == 1 else f"{choice.damaged} runs are"
        st.caption(f":material/warning: {words} damaged and cannot be chosen: Overview says why.")
    _say_problems(store, folders, wanted, allowed)
    key = f"chosen-{label}"
    st.session_state[key] = _chosen(wanted, choice, maximum, default, studies)
    ids = st.multiselect(
        label,
        list(choice.titles),
        format_func=lambda one: choice.titles.get(one, one),
        max_selections=maximum,
        key=key,
        placeholder="Choose studies or runs" if studies else "Choose runs",
        on_change=partial(_write, key),
    )
    if address.is_open():
        address.remember(ids)
    address.complete()
    return _within_limits(ids, choice)


def _by_summary(runs: Iterable[Run]) -> tuple[list[Run], list[tuple[Run, str]]]:
    """The runs whose summary can be read, and those whose cannot with the reason; cheap to ask of
    all runs of a store, where `split_sound` reads histories."""
    sound, broken = [], []
    for run in runs:
        try:
            summary = summarise(run)
        except StoreError as error:
            broken.append((run, str(error)))
            continue
        if summary.state is RunState.DAMAGED:
            broken.append((run, summary.sentence))
        else:
            sound.append(run)
    return sound, broken


def say_broken(broken: Sequence[tuple[Run, str]]) -> None:
    """Name the runs that are left out, with the reason."""
    _warn([f"{_name(run)} is left out: {escape(why, 300)}" for run, why in broken])


def _write(key: str) -> None:
    """Before the page is drawn anew, so that its menu carries the choice as well."""
    address.write(st.session_state[key])


def _choice(
    folders: dict[str, StudyFolder],
    allowed: Callable[[Run], bool],
    studies: bool,
    wanted: set[str],
) -> Choice:
    titles: dict[str, str] = {}
    stand_for: dict[str, list[Run]] = {}
    damaged = 0
    for study in folders.values():
        if len(titles) >= OFFERED and study.id not in wanted:
            continue
        sound, broken = _by_summary(study.runs())
        damaged += len(broken)
        runs = [run for run in sound if _is_allowed(run, allowed)]
        if studies and runs:
            stand_for[study.id] = runs
            titles[study.id] = (
                f"{plain(study.title, 60)} · all {len(runs)} · {study.created:%d %b %H:%M}"
            )
        for run in runs:
            stand_for[run.id] = [run]
            titles[run.id] = (
                f"{SYMBOLS[summarise(run).state]} {plain(run.arm, 40)}, pair {run.pair} · "
                f"{plain(study.title, 40)}"
            )
    return Choice(_told_apart(titles), stand_for, damaged)


def _is_allowed(run: Run, allowed: Callable[[Run], bool]) -> bool:
    """A run that vanishes meanwhile is not."""
    try:
        return allowed(run)
    except StoreError:
        return False


def _told_apart(titles: dict[str, str]) -> dict[str, str]:
    """The titles with ids where two are the same: a browser names what was chosen by its title."""
    counts = Counter(titles.values())
    return {
        one: title if counts[title] == 1 else f"{title} · {one}" for one, title in titles.items()
    }


def _chosen(
    wanted: address.Named, choice: Choice, maximum: int | None, default: int, studies: bool
) -> list[str]:
    """What of the address can be chosen here; the newest where nothing is asked for."""
    if wanted.is_empty:
        return list(choice.titles)[:default] if address.is_open() else []
    if studies:
        return [one for one in wanted.ids if one in choice.titles][:maximum]
    of_studies = [
        one
        for name in wanted.ids
        for one in ([name] if "/" in name else _runs_of(name, choice))
        if one in choice.titles
    ]
    return list(dict.fromkeys(of_studies))[:maximum]


def _runs_of(study: str, choice: Choice) -> list[str]:
    return [one for one in choice.titles if one.startswith(f"{study}/")]


def _say_problems(
    store: RunStore,
    folders: dict[str, StudyFolder],
    wanted: address.Named,
    allowed: Callable[[Run], bool],
) -> None:
    """Name what the address asks for and the page cannot show, with the reason."""
    gone = [escape(one, 60) for one in wanted.others]
    problems = []
    for one in wanted.ids:
        try:
            problems += _problems(store, folders, one, allowed)
        except StoreError:
            gone.append(escape(one, 60))
    if gone:
        rest = f" and {len(gone) - MOST_NAMED:,} more" if len(gone) > MOST_NAMED else ""
        st.info(
            f"Of this link not here any more: {', '.join(gone[:MOST_NAMED])}{rest}. Nothing is "
            "shown in their place.",
            icon=":material/link_off:",
        )
    if wanted.beyond:
        st.info(
            f"Of this link the first {address.MOST_IDS:,} ids are looked up, {wanted.beyond:,} "
            "more are not.",
            icon=":material/link_off:",
        )
    _warn(problems)


def _problems(
    store: RunStore, folders: dict[str, StudyFolder], one: str, allowed: Callable[[Run], bool]
) -> list[str]:
    """Why an id of the address is not, or not wholly, shown.

    Raises:
        StoreError: where there is nothing of that id.
    """
    study_id, _, name = one.partition("/")
    study = folders.get(study_id) or store.study(study_id)
    if study_id not in folders:
        return [f"Study {escape(study_id)} cannot be read: {escape(study.damage, 300)}"]
    runs = [study.run(name)] if name else study.runs()
    sound, broken = split_sound(runs)
    sentences = [f"{_name(run)} is damaged and left out: {escape(why, 300)}" for run, why in broken]
    if name:
        sentences += [_state(run) for run in sound if _is_worth_a_word(run, allowed)]
    elif sound and not any(_is_allowed(run, allowed) for run in sound):
        states = Counter(summarise(run).state.value for run in sound)
        words = ", ".join(f"{count} {state}" for state, count in states.items())
        sentences.append(f"**{escape(study.title, 60)}** has no finished run: {words}.")
    return sentences


def _is_worth_a_word(run: Run, allowed: Callable[[Run], bool]) -> bool:
    return not _is_allowed(run, allowed) or summarise(run).state in NOT_SHOWN_ALONE


def _state(run: Run) -> str:
    summary = summarise(run)
    reason = f": {escape(summary.sentence, 300)}" if summary.sentence else "."
    return f"{_name(run)} is {summary.state.value}{reason}"


def _name(run: Run) -> str:
    return f"**{escape(run.arm, 60)}, pair {run.pair}** of {escape(run.study.title, 60)}"


def _warn(sentences: Sequence[str]) -> None:
    """The first of them, and how many more there are."""
    if sentences:
        more = len(sentences) - MOST_NAMED
        rest = [f"And {more:,} more, which Overview names."] if more > 0 else []
        st.warning("\n\n".join([*sentences[:MOST_NAMED], *rest]), icon=":material/warning:")


def _within_limits(ids: Sequence[str], choice: Choice) -> list[Run]:
    """The runs of the first ids that a page can show; the others are named."""
    runs: dict[str, Run] = {}
    arms: set[tuple[str, int]] = set()
    left_out = []
    for one in ids:
        ours = choice.runs[one]
        theirs = {(run.study.id, run.arm_index) for run in ours}
        added = sum(run.id not in runs for run in ours)
        if runs and (len(arms | theirs) > MOST_ARMS or len(runs) + added > MOST_RUNS):
            left_out.append(escape(choice.titles[one], 60))
            continue
        arms |= theirs
        runs |= {run.id: run for run in ours}
    if left_out:
        more = len(left_out) - MOST_NAMED
        rest = f" and {more:,} more" if more > 0 else ""
        st.warning(
            f"A page shows at most {MOST_ARMS} arms and {MOST_RUNS:,} runs at once: of the "
            f"{len(ids):,} chosen, {len(left_out):,} are left out: "
            f"{', '.join(left_out[:MOST_NAMED])}{rest}. Remove some of the first to see them.",
            icon=":material/filter_list:",
        )
    return list(runs.values())
