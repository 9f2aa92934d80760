"""How pages say things: text that people gave, made safe by the engine; numbers in words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tl_engine.analysis.contrast import narrow
from tl_engine.report.amounts import about, duration, percent
from tl_engine.text import cell, escape, lines, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "about",
    "cell",
    "duration",
    "escape",
    "lines",
    "percent",
    "plain",
    "result",
    "settings_table",
    "size",
    "table",
]


_NUMBERS = re.compile(r"[+-]?\d+(\.\d+)?( to [+-]?\d+(\.\d+)?)?", re.ASCII)
"""A number or an interval: nothing that a spreadsheet would make something else of."""


def table(frame: pd.DataFrame) -> str:
    """A small table as Markdown, its index as first column; every cell escaped.

    A browser shows it at once, while `st.table` first loads a library of 1 MB.
    """
    rows = [[frame.index.name or "", *frame.columns], *frame.reset_index().to_numpy().tolist()]
    lines = ["| " + " | ".join(escape(str(cell)) for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * len(rows[0]), *lines[1:]])


def result(text: str) -> str:
    """A cell of a table that can be saved as CSV, where numbers may have a sign."""
    return text if _NUMBERS.fullmatch(text) else cell(text)


def settings_table(frame: pd.DataFrame) -> str:
    """Settings that differ, as `analysis.contrast.differences` gives them."""
    return table(narrow(frame))


def size(count: float) -> str:
    """Bytes in words: "13.5 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
