"""Sections on a page: the one place that turns what `tl_engine.report` composes into elements."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import nullcontext
from itertools import groupby

import pandas as pd
import streamlit as st

from tl_engine.report.parts import Part, composed
from tl_engine.report.section import Section
from tl_engine.report.shown_results import Results
from tl_engine.text import cell, escape
from ui.figures import cached, chart

LONGEST_TABLE = 50
"""Rows that a table shows at once; more are scrolled through, for which a browser loads 1 MB."""
LONGEST_TEXT = 2000
"""Characters of a paragraph that are shown."""
ICONS = {
    "standing": ":material/info:",
    "left-out": ":material/history:",
    "no-epoch": ":material/block:",
    "no-epoch-yet": ":material/hourglass_top:",
    "error": ":material/error:",
}
"""Of sections whose text stands in a box."""
FOLDED = {"runs": ("Every run", 10), "class-deltas": ("The numbers", 0)}
"""Tables that can be folded away, with their label; open up to so many rows."""
BESIDE = ("arms", "alike")
"""Sections that stand beside the figure before them."""
_NUMBERS = re.compile(r"[+-]?\d+(\.\d+)?( to [+-]?\d+(\.\d+)?)?", re.ASCII)
"""A number or an interval: nothing that a spreadsheet would make something else of."""


def show_part(part: Part, results: Results, width: int | None = None) -> None:
    """Draw a part with nothing to choose, under its heading if it has any section."""
    sections = composed(part, results)
    if sections and part.heading:
        st.subheader(part.heading, anchor=False)
    draw_all(sections, width)


def draw_all(sections: Iterable[Section], width: int | None = None) -> None:
    """Draw sections one after another; figures side by side where a width is given, which each of
    them has at least, in pixels."""
    beside = groupby(sections, lambda one: one.drawing is not None or one.key in BESIDE)
    for is_in_grid, group in beside:
        grid = st.grid(2, min_column_width=width, gap="medium") if width and is_in_grid else None
        for section in group:
            with grid.cell() if grid else nullcontext():
                draw(section)


def draw(section: Section) -> None:
    """Draw one section."""
    if section.key in ICONS:
        box = st.error if section.key == "error" else st.info
        box(escape(section.text, LONGEST_TEXT), icon=ICONS[section.key])
        return
    if section.drawing and section.numbers is not None:
        chart(cached(section.drawing), section.numbers, section.key, section.alt)
    if section.table is not None:
        label, most = FOLDED.get(section.key, ("", 0))
        with st.expander(label, expanded=len(section.table) <= most) if label else nullcontext():
            show_table(section.table)
    draw_words(section)


def draw_words(section: Section) -> None:
    """Draw its title, text, notes and method, each made safe."""
    title = f"**{escape(section.title)}**" if section.title else ""
    if words := f"{title} {escape(section.text, LONGEST_TEXT)}".strip():
        st.markdown(words)
    for note in (*section.notes, section.method):
        if note:
            st.caption(escape(note, LONGEST_TEXT))


def show_table(frame: pd.DataFrame) -> None:
    """A table of readable values, its index as first column."""
    if len(frame) <= LONGEST_TABLE:
        st.markdown(table(frame))
    else:
        st.dataframe(frame.reset_index().map(lambda value: result(str(value))), hide_index=True)


def table(frame: pd.DataFrame) -> str:
    """A small table as Markdown, its index as first column; every cell escaped.

    A browser shows it at once, while `st.table` first loads a library of 1 MB.
    """
    rows = [[frame.index.name or "", *frame.columns], *frame.reset_index().to_numpy().tolist()]
    lines = ["| " + " | ".join(escape(str(value)) for value in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def result(text: str) -> str:
    """A cell of a table that can be saved as CSV, where numbers may have a sign."""
    return text if _NUMBERS.fullmatch(text) else cell(text)
