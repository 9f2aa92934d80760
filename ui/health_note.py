"""The health check above a verdict: what befell the runs it rests on."""

from __future__ import annotations

import streamlit as st

from tl_engine.analysis.health import Health, Level
from tl_engine.text import escape

ICONS = {Level.PROBLEM: ":material/error:", Level.NOTICE: ":material/info:"}
LONGEST = 800
"""Characters of a finding that are shown."""


def show(health: Health | None) -> None:
    """Draw it: problems in a box, notices and a clean bill in a quiet line."""
    if health is None:
        return
    sentences = {level: _sentences(health, level) for level in Level}
    if problems := sentences[Level.PROBLEM]:
        st.warning(problems, icon=ICONS[Level.PROBLEM])
    if notices := sentences[Level.NOTICE]:
        st.caption(f"{ICONS[Level.NOTICE]} {notices}")
    if fine := sentences[Level.FINE]:
        st.caption(f":material/check: {fine}")


def mark(health: Health | None) -> str:
    """What stands before a verdict whose runs have a problem, and a space; else nothing."""
    return f"{ICONS[Level.PROBLEM]} " if health and health.level is Level.PROBLEM else ""


def _sentences(health: Health, level: Level) -> str:
    ours = [found.sentence for found in health.findings if found.level is level]
    return " ".join(escape(sentence, LONGEST) for sentence in ours)
