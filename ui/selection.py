"""Choosing studies and runs, with the choice in the page's address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import streamlit as st

from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, RunStore, summarise
from ui.runs_table import SYMBOLS
from ui.text import plain

PARAMETER = "ids"
OFFERED = 500


def choose_runs(
    store: RunStore,
    label: str,
    allowed: Callable[[Run], bool] = lambda run: True,
    maximum: int | None = None,
    studies: bool = True,
    default: int = 1,
) -> list[Run]:
    """A multi-select of studies and runs that writes its value into the address.

    Args:
        allowed: which runs can be chosen; a study stands for those of its runs.
        maximum: how many can be chosen.
        studies: offer whole studies too.
        default: how many of the newest are chosen where the address says nothing.
    """
    titles, damaged = _titles(store, allowed, studies)
    if damaged:
        st.caption(f":material/warning: {_count(damaged)} damaged and left out: Overview says why.")
    key = f"chosen-{label}"
    if key not in st.session_state:
        st.session_state[key] = _from_address(titles, maximum, default)
    else:
        st.session_state[key] = [one for one in st.session_state[key] if one in titles]
    ids = st.multiselect(
        label,
        list(titles),
        format_func=lambda one: titles.get(one, one),
        max_selections=maximum,
        key=key,
        placeholder="Choose studies or runs" if studies else "Choose runs",
    )
    if ids:
        st.query_params[PARAMETER] = ",".join(ids)
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]
    try:
        runs = store.select(ids)
    except StoreError:  # deleted in another window a moment ago
        st.rerun()
    return [run for run in runs if _is_sound(run) and allowed(run)]


def _titles(
    store: RunStore, allowed: Callable[[Run], bool], studies: bool
) -> tuple[dict[str, str], int]:
    """What can be chosen, newest first, by id; and how many runs are damaged.

    Of a large store the newest OFFERED runs, and what the address asks for.
    """
    titles: dict[str, str] = {}
    asked, damaged = st.query_params.get(PARAMETER, ""), 0
    for study in store.studies():
        if len(titles) >= OFFERED and study.id not in asked:
            continue
        sound = [run for run in study.runs() if _is_sound(run)]
        damaged += len(study.runs()) - len(sound)
        runs = [run for run in sound if allowed(run)]
        if studies and runs:
            titles[study.id] = (
                f"{plain(study.title, 60)} · all {len(runs)} · {study.created:%d %b %H:%M}"
            )
        for run in runs:
            symbol = SYMBOLS[summarise(run).state]
            titles[run.id] = (
                f"{symbol} {plain(run.arm, 40)}, pair {run.pair} · {plain(study.title, 40)}"
            )
    return _told_apart(titles), damaged


def _told_apart(titles: dict[str, str]) -> dict[str, str]:
    """The titles with ids where two are the same: a browser names what was chosen by its title."""
    counts = Counter(titles.values())
    return {
        one: title if counts[title] == 1 else f"{title} · {one}" for one, title in titles.items()
    }


def _is_sound(run: Run) -> bool:
    return summarise(run).state is not RunState.DAMAGED


def _count(runs: int) -> str:
    return "1 run is" if runs == 1 else f"{runs} runs are"


def _from_address(titles: dict[str, str], maximum: int | None, default: int) -> list[str]:
    """What the address asks for; without a wish, the newest there is."""
    asked = st.query_params.get(PARAMETER)
    wanted = [one for one in asked.split(",") if one in titles] if asked else []
    if asked and len(wanted) < len(asked.split(",")):
        st.info("Some runs of this link are not here any more.", icon=":material/link_off:")
    return (wanted or list(titles)[:default])[:maximum]
