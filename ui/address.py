"""What a page's address names: studies and runs by their ids, carried from page to page."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

import streamlit as st

from ui import browser

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

    ids: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    beyond: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing at all."""
        return not self.ids and not self.others


def named(address: str) -> Named:
    """What the text of an address names, whatever it holds."""
    parts = [part for part in dict.fromkeys(map(str.strip, address.split(","))) if part]
    first = parts[:MOST_IDS]
    ids = tuple(part for part in first if _ID.fullmatch(part))
    others = tuple(part for part in first if not _ID.fullmatch(part))
    return Named(ids, others, len(parts) - len(first))


def current() -> Named:
    """What this page's address names; where it names nothing, the session's last selection."""
    address = st.query_params.get(PARAMETER)
    return named(st.session_state.get(CARRIED, "") if address is None else address)


def is_open() -> bool:
    """Whether neither the address nor the session says what to show."""
    return PARAMETER not in st.query_params and CARRIED not in st.session_state


def carried() -> dict[str, str]:
    """Query parameters for a link to another page that shows the same."""
    ids = current().ids
    return {PARAMETER: ",".join(ids)} if ids else {}


def write(ids: Iterable[str]) -> None:
    """Put a choice that somebody made into the address; the browser's back button undoes it."""
    remember(ids)
    if text := st.session_state[CARRIED]:
        st.query_params[PARAMETER] = text
    elif PARAMETER in st.query_params:
        del st.query_params[PARAMETER]


def remember(ids: Iterable[str]) -> None:
    """Keep a selection for the session's other pages."""
    st.session_state[CARRIED] = ",".join(ids)


def complete() -> None:
    """Keep what the page shows for others, and put it into an address that says nothing."""
    ids = current().ids
    remember(ids)
    if PARAMETER in st.query_params or not ids:
        return
    browser.complete_address(PARAMETER, ",".join(ids))
