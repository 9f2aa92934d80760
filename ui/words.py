"""How pages say things: text that people gave, made safe by the engine; numbers in words."""

from __future__ import annotations

import re
from math import isnan
from typing import TYPE_CHECKING

from tl_engine.text import cell, escape, lines, plain

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
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
MOST_COLUMNS = 4
"""Arms beside one another; more would not fit on a page."""


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
    """Settings that differ: a column per arm, or a row per arm where there are many.

    Args:
        frame: as analysis.settings.differences gives it.
    """
    return table(frame if len(frame.columns) <= MOST_COLUMNS else frame.T.rename_axis("Arm"))


def duration(seconds: float | None) -> str:
    """Seconds in words: "8 s", "2 min 5 s", "3 h 20 min"."""
    if seconds is None:
        return ""
    if 0 < seconds < 0.5:
        return "less than 1 s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float | None) -> str:
    """An estimate in words: "about 8 s", or "less than 1 s"."""
    words = duration(seconds)
    return f"about {words}" if words and not words.startswith("less") else words


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal; a dash for none and for one not measured."""
    return "–" if share is None or isnan(share) else f"{share:.1%}"


def size(count: float) -> str:
    """Bytes in words: "13.5 MB"."""
    for unit in ("bytes", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
