"""What only a browser can do: one script that never changes, to which requests are sent as data."""

from __future__ import annotations

import re
import secrets
from typing import Any

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


def complete_address(name: str, value: str) -> None:
    """Put a parameter into an address that has none of that name; going back needs no more presses
    for it."""
    _request("address", name=name, value=value)


def save_picture(key: str) -> None:
    """Let the browser save the chart of that key, as its mode bar's button does."""
    _request("picture", key=_class(key))


def bring_into_view(key: str) -> None:
    """Scroll to the container of that key."""
    _request("view", key=_class(key))


def _request(action: str, **facts: Any) -> None:
    """Draw the script with a request; a browser does each once, however often it is drawn."""
    run = st.components.v2.component("thaw-browser", js=SCRIPT)
    run(data={"action": action, "number": secrets.token_hex(8), **facts}, key=f"{HIDDEN}-{action}")


def _class(key: str) -> str:
    """As Streamlit names an element of that key."""
    return re.sub(r"[^a-zA-Z0-9_-]", "-", key)
