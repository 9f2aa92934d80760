"""Choosing studies and runs: the choice is the page's address, and nothing stands in for what the
address names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import streamlit as st

from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, RunStore, StudyFolder, split_sound, summarise
from tl_engine.text import escape, plain
from ui import browser
from ui.runs_table import SYMBOLS

OFFERED = 500
"""Studies and runs to choose from: the newest, and what the address names."""
MOST_NAMED = 5
"""Problems and titles in words; of more it is said how many."""
MOST_ARMS, MOST_RUNS = 100, 2000
"""Of what is chosen a page shows so much: more could neither be read nor kept in memory."""
NOT_OFFERED = {False: {RunState.DAMAGED}, True: set(RunState) - {RunState.FINISHED}}
"""By whether finished runs only are offered, the states of which no run is."""
NOT_SHOWN_ALONE = (RunState.FAILED, RunState.STOPPED, RunState.QUEUED, RunState.INTERRUPTED)


def choose_runs(
    store: RunStore, label: str, *, finished: bool = False, most: int | None = None
) -> list[Run]:
    """A multi-select of studies and runs; its value is the address.

    What the address names and the page cannot show is named above it with the reason, and nothing
    takes its place. Where neither the address nor the session names any, the newest are chosen.

    Args:
        finished: offer finished runs only; a study stands for those of its runs.
        most: how many can be chosen, single runs only; None for any number, whole studies too.
    """
    folders = {study.id: study for study in store.studies()}
    wanted = browser.selection()
    named = {one.partition("/")[0] for one in wanted.ids}
    titles, runs, damaged = _offered(folders, finished, most is None, named)
    if damaged:
        words = "1 run is" if damaged == 1 else f"{damaged} runs are"
        st.caption(f":material/warning: {words} damaged and cannot be chosen: Overview says why.")
    _say_problems(store, folders, wanted, finished)
    key = f"chosen-{label}"
    st.session_state[key] = _chosen(wanted, titles, most)
    ids = st.multiselect(
        label,
        list(titles),
        format_func=lambda one: titles.get(one, one),
        max_selections=most,
        key=key,
        placeholder="Choose runs" if most else "Choose studies or runs",
        # Before the page is drawn anew, so that its menu carries the choice as well.
        on_change=lambda: browser.select(st.session_state[key]),
    )
    if not browser.has_selection():
        browser.remember(ids)
    browser.complete_address()
    return _within_limits(ids, titles, runs)


def say_broken(broken: Sequence[tuple[Run, str]]) -> None:
    """Name the runs that are left out, with the reason."""
    _warn([f"{_name(run)} is left out: {escape(why, 300)}" for run, why in broken])


def _offered(
    folders: Mapping[str, StudyFolder], finished: bool, studies: bool, named: set[str]
) -> tuple[dict[str, str], dict[str, list[Run]], int]:
    """What can be chosen, newest first: titles by id, the runs that each id stands for, and how
    many runs cannot be chosen for they are damaged."""
    titles: dict[str, str] = {}
    runs: dict[str, list[Run]] = {}
    damaged = 0
    for study in folders.values():
        if len(titles) >= OFFERED and study.id not in named:
            continue
        states = {run: _state(run) for run in study.runs()}
        damaged += list(states.values()).count(RunState.DAMAGED)
        for one, title, stands_for in _entries(study, states, finished, studies):
            titles[one], runs[one] = title, stands_for
    return _distinct(titles), runs, damaged


def _entries(
    study: StudyFolder, states: Mapping[Run, RunState], finished: bool, studies: bool
) -> Iterator[tuple[str, str, list[Run]]]:
    """What of a study can be chosen: id, title, and the runs that it stands for."""
    ours = [run for run, state in states.items() if state not in NOT_OFFERED[finished]]
    if studies and ours:
        title = f"{plain(study.title, 60)} · all {len(ours)} · {study.created:%d %b %H:%M}"
        yield study.id, title, ours
    for run in ours:
        title = f"{SYMBOLS[states[run]]} {plain(run.arm, 40)}, pair {run.pair} · "
        yield run.id, title + plain(study.title, 40), [run]


def _distinct(titles: Mapping[str, str]) -> dict[str, str]:
    """Titles that differ: a browser names what was chosen by its title."""
    counts = Counter(titles.values())
    return {one: f"{text} · {one}" if counts[text] > 1 else text for one, text in titles.items()}


def _state(run: Run) -> RunState:
    """That of its summary; cheap to ask of all runs of a store, where `split_sound` reads
    histories."""
    try:
        return summarise(run).state
    except StoreError:
        return RunState.DAMAGED


def _chosen(wanted: browser.Named, titles: Mapping[str, str], most: int | None) -> list[str]:
    """What of the address can be chosen here; the newest where nothing is asked for."""
    if not wanted.ids and not wanted.others:
        return [] if browser.has_selection() else list(titles)[: most or 1]
    ids: list[str] = []
    for one in wanted.ids:
        if most is None or "/" in one:
            ids.append(one)
        else:
            ids += [run for run in titles if run.startswith(f"{one}/")]
    return [one for one in dict.fromkeys(ids) if one in titles][:most]


def _say_problems(
    store: RunStore, folders: Mapping[str, StudyFolder], wanted: browser.Named, finished: bool
) -> None:
    """Name what the address asks for and the page cannot show, with the reason."""
    gone = [escape(one, 60) for one in wanted.others]
    problems = []
    for one in wanted.ids:
        try:
            problems += _problems(store, folders, one, finished)
        except StoreError:
            gone.append(escape(one, 60))
    if gone:
        st.info(
            f"Of this link not here any more: {_listed(gone)}. Nothing is shown in their place.",
            icon=":material/link_off:",
        )
    if wanted.beyond:
        st.info(
            f"Of this link the first {browser.MOST_IDS:,} ids are looked up, {wanted.beyond:,} "
            "more are not.",
            icon=":material/link_off:",
        )
    _warn(problems)


def _problems(
    store: RunStore, folders: Mapping[str, StudyFolder], one: str, finished: bool
) -> list[str]:
    """Why an id of the address is not, or not wholly, shown.

    Raises:
        StoreError: where there is nothing of that id.
    """
    study_id, _, name = one.partition("/")
    study = folders.get(study_id) or store.study(study_id)
    if study_id not in folders:
        return [f"Study {escape(study_id)} cannot be read: {escape(study.damage, 300)}"]
    sound, broken = split_sound([study.run(name)] if name else study.runs())
    sentences = [f"{_name(run)} is damaged and left out: {escape(why, 300)}" for run, why in broken]
    if name:
        return [*sentences, *_unsuitable(sound, finished)]
    return [*sentences, *_without_finished(study, sound, finished)]


def _unsuitable(runs: Sequence[Run], finished: bool) -> Iterator[str]:
    """Which runs are in a state that a page does not show, and why they are in it."""
    for run in runs:
        summary = summarise(run)
        state, reason = summary.state, summary.sentence
        if state in NOT_SHOWN_ALONE or (finished and state is not RunState.FINISHED):
            words = f": {escape(reason, 300)}" if reason else "."
            yield f"{_name(run)} is {state.value}{words}"


def _without_finished(study: StudyFolder, runs: Sequence[Run], finished: bool) -> Iterator[str]:
    """That a study of runs has none that is finished, where only such runs are shown."""
    if finished and runs:
        states = Counter(summarise(run).state.value for run in runs)
        if RunState.FINISHED.value not in states:
            words = ", ".join(f"{count} {state}" for state, count in states.items())
            yield f"**{escape(study.title, 60)}** has no finished run: {words}."


def _name(run: Run) -> str:
    return f"**{escape(run.arm, 60)}, pair {run.pair}** of {escape(run.study.title, 60)}"


def _warn(sentences: Sequence[str]) -> None:
    """The first of them, and how many more there are."""
    if sentences:
        more = len(sentences) - MOST_NAMED
        rest = [f"And {more:,} more, which Overview names."] if more > 0 else []
        st.warning("\n\n".join([*sentences[:MOST_NAMED], *rest]), icon=":material/warning:")


def _within_limits(
    ids: Sequence[str], titles: Mapping[str, str], runs_of: Mapping[str, list[Run]]
) -> list[Run]:
    """The runs of the first ids that a page can show; the others are named."""
    runs: dict[str, Run] = {}
    arms: set[tuple[str, int]] = set()
    left_out = []
    for one in ids:
        ours = {run.id: run for run in runs_of[one]}
        theirs = {(run.study.id, run.arm_index) for run in ours.values()}
        if runs and (len(arms | theirs) > MOST_ARMS or len(runs | ours) > MOST_RUNS):
            left_out.append(escape(titles[one], 60))
            continue
        arms |= theirs
        runs |= ours
    if left_out:
        st.warning(
            f"A page shows at most {MOST_ARMS} arms and {MOST_RUNS:,} runs at once: of the "
            f"{len(ids):,} chosen, {len(left_out):,} are left out: {_listed(left_out)}. Remove "
            "some of the first to see them.",
            icon=":material/filter_list:",
        )
    return list(runs.values())


def _listed(names: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = len(names) - MOST_NAMED
    return ", ".join(names[:MOST_NAMED]) + (f" and {more:,} more" if more > 0 else "")
