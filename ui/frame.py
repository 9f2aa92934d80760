"""The frame around every page (title, menu, one guard against tracebacks), and what pages share."""

from __future__ import annotations

import errno
import logging
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import streamlit as st

from tl_engine.errors import ThawError
from tl_engine.execution.predictor import Predictor
from tl_engine.machine import default_runs_folder
from tl_engine.runs import RunStore
from tl_engine.text import escape
from ui import access, browser

MENU = (
    ("app.py", "Overview", ":material/home:"),
    ("pages/1_Launch.py", "Launch", ":material/rocket_launch:"),
    ("pages/2_Compare.py", "Compare", ":material/compare_arrows:"),
    ("pages/3_Classify.py", "Classify", ":material/image_search:"),
    ("pages/4_Explain.py", "Explain", ":material/psychology:"),
)
SCROLLING = """<style>
[data-testid=stMarkdownContainer]:has(> table) {overflow-x: auto}
[data-testid=stMarkdownContainer] > table :is(th, td):first-child {min-width: 9rem}
[class*=st-key-in-browser] {display: none}
</style>"""
"""Tables that are wider than a narrow screen scroll, and do not push the page sideways; their first
column has room for a name. What a browser does unseen takes no room."""
_FULL = (
    "The disk that holds your studies is full. What was saved is whole; this was not done. "
    "Free some space, then try again."
)
_CLOSED = (
    "Thaw may not read or write the folder that holds your studies. What was saved is whole; this "
    "was not done. Give the account that runs Thaw that right, then try again."
)
DISK = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL.replace("is full", "takes no more from this account (its quota)"),
    errno.EROFS: _CLOSED,
    errno.EACCES: _CLOSED,
    errno.EPERM: _CLOSED,
}
_log = logging.getLogger("thaw")


@contextmanager
def page(title: str) -> Iterator[None]:
    """Draw the frame, then let the block draw the page: what it raises becomes one sentence."""
    st.set_page_config(page_title=f"{title} · Thaw", page_icon="❄️", layout="wide")
    refusal = access.refusal()
    if refusal:  # the server does not start like this, but others can run its pages
        st.error(escape(refusal), icon=":material/error:")
        st.stop()
    access.admit()
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown("**Thaw**", width="content")
        for path, label, icon in MENU:
            # The others do not show what the address names.
            query = browser.carried() if label in ("Compare", "Classify", "Explain") else None
            st.page_link(path, label=label, icon=icon, query_params=query)
        access.show_visitor()
    st.html(SCROLLING)
    with guarded():
        yield


@contextmanager
def guarded() -> Iterator[None]:
    """Report what the block raises, and draw on.

    Fragments and dialogs need one of their own: what they raise on a refresh does not pass the
    page. It decorates a function as well.
    """
    try:
        yield
    except Exception as error:
        report(error)


def report(error: Exception) -> bool:
    """Show what the engine refuses as it is, a disk that cannot take more in words, and anything
    else as an id that the log explains; True says that this was all there is to show."""
    if isinstance(error, ThawError):
        st.error(escape(str(error)), icon=":material/error:")
    elif isinstance(error, OSError) and error.errno in DISK:
        _log.error("%s", error)
        st.error(DISK[error.errno], icon=":material/hard_drive:")
    else:
        number = secrets.token_hex(4)
        _log.error("error %s", number, exc_info=error)
        st.error(
            f"Something went wrong that Thaw did not expect (error {number}). "
            "Your runs are safe; the server's log says more.",
            icon=":material/bug_report:",
        )
    return True


def store() -> RunStore:
    """The store that this server shows."""
    return RunStore(default_runs_folder())


@st.cache_resource(max_entries=1, show_spinner=False, on_release=Predictor.close)
def predictor(root: str) -> Predictor:
    """The one process that classifies for all visitors."""
    return Predictor(RunStore(root))


def choose(
    widget: Callable[..., Any], label: str, titles: Mapping[Any, str], key: str, **options: Any
) -> Any:
    """A widget that offers values by their titles; what is chosen."""
    return widget(label, list(titles), format_func=titles.__getitem__, key=key, **options)


pick = partial(choose, st.segmented_control, required=True)
"""One of a few values, which stand side by side."""


def empty_state(sentence: str, label: str = "Launch a study") -> None:
    """Lead to Launch where there is nothing to show yet."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(f"##### {sentence}", width="content")
        st.page_link("pages/1_Launch.py", label=label, icon=":material/rocket_launch:")
        st.space("small")
