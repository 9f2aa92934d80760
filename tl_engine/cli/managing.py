"""Commands that change what people call a study, or end it: rename, note, delete."""

from __future__ import annotations

import argparse
from typing import Any

from tl_engine.cli.printing import add_command, confirm
from tl_engine.errors import StoreError
from tl_engine.runs import RunStore
from tl_engine.text import plain


def add_to(commands: Any) -> None:
    """Add them to the parser."""
    made = add_command(commands, "rename", rename, "change what a study is called")
    made.add_argument("study", metavar="STUDY")
    made.add_argument("title", metavar="TITLE", help="1 to 200 characters")
    made = add_command(commands, "note", note, "write what a study taught you")
    made.add_argument("study", metavar="STUDY")
    made.add_argument("text", metavar="TEXT", help='replaces the note; "" removes it')
    text = "delete a study with all its runs; asks first, and refuses while one is running"
    made = add_command(commands, "delete", delete, text, yes=True)
    made.add_argument("study", metavar="STUDY")


def rename(options: argparse.Namespace, store: RunStore) -> int:
    """Change what a study is called."""
    store.study(options.study).label(title=_writable(options.title))
    return 0


def note(options: argparse.Namespace, store: RunStore) -> int:
    """Write a note to a study."""
    store.study(options.study).label(note=_writable(options.text))
    return 0


def delete(options: argparse.Namespace, store: RunStore) -> int:
    """Delete a study with all its runs."""
    if "/" in options.study.strip("/"):
        raise StoreError(
            f"A study is deleted with all its runs, no run alone: delete STUDY, got "
            f"{options.study!r:.60}."
        )
    study = store.study(options.study)
    title, runs = study.id, 0
    if study.is_readable:
        title, runs = f"{study.id} ({plain(study.title)})", len(study.runs())
        if any(run.state.is_alive for run in study.runs()):
            raise StoreError(f"{title} is running: stop it first, then delete it.")
    confirm(options, f"Delete {title} with its {runs} runs for ever?", "Nothing was deleted.")
    store.delete(study.id)
    return 0


def _writable(text: str) -> str:
    """The text, unless it holds bytes that are no characters.

    Raises:
        StoreError: for such.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        raise StoreError(
            f"A title or note is made of Unicode characters, got {text!r:.60}."
        ) from None
    return text
