"""A visitor's browser: the studies and runs that its address names, carried from page to page; and
what only a browser can do, by a script that never changes, to which requests are sent as data."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from itertools import filterfalse
from typing import NamedTuple

import streamlit as st

SCRIPT = """
const element = (name) => document.querySelector(`.st-key-${name}`);
const actions = {
  // In place of the entry in the browser's history: Streamlit would add one.
  address({ name, value }) {
    const there = new URL(window.location);
    if (there.searchParams.has(name)) return;
    there.searchParams.set(name, value);
    window.history.replaceState(window.history.state, "", there);
  },
  picture({ key }) {
    element(key)?.querySelector('.modebar-btn[data-title^="Download plot"]')?.click();
  },
  view({ key }) {
    setTimeout(() => element(key)?.scrollIntoView({ block: "center" }), 100);
  },
};
export default function ({ data }) {
  const done = (window.thawDone ??= new Set());
  if (!data || done.has(data.number)) return;
  done.add(data.number);
  actions[data.action](data);
}
"""
HIDDEN = "in-browser"
"""Beginning of the keys of what has nothing to show; `ui/frame.py` gives it no room."""
PARAMETER = "ids"
CARRIED = "selection"
"""Key of the session's last selection, for pages that are opened without one."""
MOST_IDS = 1000
"""Of a longer link the rest is not looked up."""
_ID = re.compile(r"[\w-][\w.-]{0,99}(/arm\d{1,4}-pair\d{1,4})?", re.ASCII)


class Named(NamedTuple):
    """What an address names.

    Attributes:
        ids: of studies and runs, each once; they may be of none that is there.
        others: what can be no id of either, each once.
        beyond: how many more there are than are looked up.
    """

    ids: tuple[str, ...]
    others: tuple[str, ...]
    beyond: int


def named(address: str) -> Named:
    """What the text of an address names, whatever it holds."""
    parts = [part for part in dict.fromkeys(map(str.strip, address.split(","))) if part]
    first = parts[:MOST_IDS]
    ids, others = filter(_ID.fullmatch, first), filterfalse(_ID.fullmatch, first)
    return Named(tuple(ids), tuple(others), len(parts) - len(first))


def selection() -> Named:
    """What this page's address names; where it names nothing, the session's last selection."""
    address = st.query_params.get(PARAMETER)
    return named(st.session_state.get(CARRIED, "") if address is None else address)


def has_selection() -> bool:
    """Whether the address or the session says what to show, be it nothing."""
    return PARAMETER in st.query_params or CARRIED in st.session_state


def carried() -> dict[str, str]:
    """Query parameters for a link to another page that shows the same."""
    ids = selection().ids
    return {PARAMETER: ",".join(ids)} if ids else {}


def select(ids: Iterable[str]) -> None:
    """Put a choice that somebody made into the address; the browser's back button undoes it."""
    remember(ids)
    if text := st.session_state[CARRIED]:
        st.query_params[PARAMETER] = text
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def remember(ids: Iterable[str]) -> None:
    """Keep a selection for the session's other pages."""
    st.session_state[CARRIED] = ",".join(ids)


def complete_address() -> None:
    """Keep what the page shows for others, and put it into an address that says nothing; going back
    needs no more presses for it."""
    ids = selection().ids
    remember(ids)
    if ids and PARAMETER not in st.query_params:
        _request("address", name=PARAMETER, value=",".join(ids))


def save_picture(key: str) -> None:
    """Let the browser save the chart of that key, as its mode bar's button does."""
    _request("picture", key=_class(key))


def bring_into_view(key: str) -> None:
    """Scroll to the container of that key."""
    _request("view", key=_class(key))


def _request(action: str, **facts: str) -> None:
    """Draw the script with a request; a browser does each once, however often it is drawn."""
    run = st.components.v2.component("thaw-browser", js=SCRIPT)
    run(data={"action": action, "number": secrets.token_hex(8), **facts}, key=f"{HIDDEN}-{action}")


def _class(key: str) -> str:
    """As Streamlit names an element of that key."""
    return re.sub(r"[^a-zA-Z0-9_-]", "-", key)
