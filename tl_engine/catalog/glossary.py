"""Terms in plain words, from docs/glossary.md: what pages show as help."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PLACES = (FOLDER / "glossary.md", FOLDER.parents[1] / "docs" / "glossary.md")
"""In an installed wheel, and in a checkout."""
_ENTRY = re.compile(r"^\*\*(.+?)\*\*: (.+)$", re.MULTILINE)


def explain(term: str) -> str:
    """What the term means, as Markdown.

    Raises:
        KeyError: for a term that the glossary does not have.
    """
    return _entries()[term]


@cache
def _entries() -> dict[str, str]:
    return dict(_ENTRY.findall(next(filter(Path.exists, PLACES)).read_text(encoding="utf-8")))
