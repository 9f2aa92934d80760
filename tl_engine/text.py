"""Text that people gave (names, notes, class names) on its way to a screen, a chart or a table.

`plain` cleans; every place that reads signs as more than text has an encoder on top of it, in
whose result no sign means anything.
"""

from __future__ import annotations

import re
from unicodedata import category, normalize

MAXIMUM_SHOWN = 300
MAXIMUM_LABEL = 60
WORD_JOINER = "\u2060"

_SPACES = {"Cc", "Zl", "Zp", "Zs"}
_UNSEEN = {"Cf", "Cs"}
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and signs that Unicode does not call invisible, and nobody sees."""
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~:$&=\"'^@/%])")
_FOUND_LATE = re.compile(r"(?<=:)(?=//|[\w+-]+:)|(?<=www)(?=\.)|(?<=@)(?=[\w-])", re.IGNORECASE)
"""In addresses, icons and logos, which Streamlit looks for when the backslashes are gone."""
_MARKUP = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        # By number: Plotly would show &quot; as it is.
        **{sign: f"&#{ord(sign)};" for sign in "\"'{$"},
    }
)
"""What HTML or Plotly would read as markup, an attribute's end, a hover variable or a formula."""
_FORMULA = re.compile(r"(?:^|(?<=;))(?=\s*[=+\-@＝＋－＠])")
"""Where a formula would begin; LibreOffice, and Excel in half of Europe, part cells at ";" too."""


def plain(text: str, limit: int = MAXIMUM_SHOWN) -> str:
    """Text on one line, composed (NFC), without control, direction and zero-width characters, cut
    with an ellipsis: for what shows text as it is."""
    line = " ".join(_visible(text).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def lines(text: str) -> str:
    """The same on several lines, uncut and with their indents."""
    return "\n".join(map(_visible, text.splitlines()))


def escape(text: str, limit: int = MAXIMUM_SHOWN) -> str:
    """Plain text for what reads Markdown."""
    return _MARKDOWN.sub(r"\\\1", _FOUND_LATE.sub(WORD_JOINER, plain(text, limit)))


def markup(text: str, limit: int = MAXIMUM_LABEL) -> str:
    """Plain text for Plotly and HTML."""
    return plain(text, limit).translate(_MARKUP)


def cell(text: str, limit: int = MAXIMUM_LABEL) -> str:
    """Plain text for a table that can be saved as CSV: an apostrophe keeps a spreadsheet from
    computing it."""
    return _FORMULA.sub("'", plain(text, limit))


def counted(number: int, noun: str) -> str:
    """A number with its noun: "1 pair", "1,200 pairs"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def is_writable(text: str) -> bool:
    """Whether UTF-8 can hold it: not what a terminal could not decode."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _visible(text: str) -> str:
    return normalize("NFC", "".join(map(_seen, text)))


def _seen(character: str) -> str:
    kind = category(character)
    if kind in _SPACES:
        return " "
    return "" if kind in _UNSEEN or character in _BLANK else character
