"""The frame around every page: title, menu, and one guard against tracebacks."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from tl_engine.errors import ThawError
from ui.text import escape

MENU = (
    ("app.py", "Overview", ":material/home:"),
    ("pages/1_Launch.py", "Launch", ":material/rocket_launch:"),
    ("pages/2_Compare.py", "Compare", ":material/compare_arrows:"),
    ("pages/3_Classify.py", "Classify", ":material/image_search:"),
)
_log = logging.getLogger("thaw")


@contextmanager
def page(title: str) -> Iterator[None]:
    """Draw the frame, then let the block draw the page: what it raises becomes one sentence."""
    st.set_page_config(page_title=f"{title} · Thaw", page_icon="❄️", layout="wide")
    with st.container(horizontal=True, vertical_alignment="center", gap="medium"):
        st.markdown("**Thaw**", width="content")
        for path, label, icon in MENU:
            st.page_link(path, label=label, icon=icon)
    with guarded():
        yield


@contextmanager
def guarded() -> Iterator[None]:
    """Show what the engine refuses as it is, and anything else as an id that the log explains.

    Fragments need one of their own: what they raise on a refresh does not pass the page.
    """
    try:
        yield
    except ThawError as error:
        st.error(escape(str(error)), icon=":material/error:")
    except Exception:
        number = secrets.token_hex(4)
        _log.exception("error %s", number)
        st.error(
            f"Something went wrong that Thaw did not expect (error {number}). "
            "Your runs are safe; the server's log says more.",
            icon=":material/bug_report:",
        )


def empty_state(sentence: str, path: str, label: str, icon: str) -> None:
    """What to do where there is nothing to show yet."""
    with st.container(border=True, horizontal_alignment="center"):
        st.space("small")
        st.markdown(f"##### {sentence}", width="content")
        st.page_link(path, label=label, icon=icon)
        st.space("small")
