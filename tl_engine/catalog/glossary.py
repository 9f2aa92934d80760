"""Terms in plain words, from docs/glossary.md: what pages show as help."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PLACES = (FOLDER / "glossary.md", FOLDER.parents[1] / "docs" / "glossary.md")
"""In an installed wheel, and in a checkout."""


def explain(term: str) -> str:
    """What a term of the glossary means, as Markdown; raises KeyError where it has none."""
    return _entries()[term]


@cache
def _entries() -> dict[str, str]:
    text = next(filter(Path.exists, PLACES)).read_text(encoding="utf-8")
    return dict(re.findall(r"^\*\*(.+?)\*\*: (.+)$", text, re.MULTILINE))
