"""What commands share: their arguments, results as text or JSON, a question before what cannot be
undone."""

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from operator import methodcaller
from typing import Any

from tl_engine.errors import ThawError
from tl_engine.text import plain

Argument = Callable[[argparse.ArgumentParser], object]
"""Adds itself to a command's parser."""
argument: Callable[..., Argument] = partial(methodcaller, "add_argument")
"""Makes an Argument of what `ArgumentParser.add_argument` takes."""
flag: Callable[..., Argument] = partial(argument, action="store_true")


def whole(text: str) -> int:
    """A whole number of at most 9 digits; the caller checks its range."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 9):
        raise argparse.ArgumentTypeError(f"a whole number such as 3, got {text!r:.40}")
    return int(text)


def count(text: str) -> int:
    """A whole number from 1 on."""
    if (number := whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, got {text!r:.40}")
    return number


def confirm(options: argparse.Namespace, question: str, without: str) -> None:
    """Ask at the terminal, unless --yes was given; `without` says what was not done.

    Raises:
        ThawError: for everything but yes, and where standard input is no terminal.
    """
    if options.yes:
        return
    if not sys.stdin or not sys.stdin.isatty():
        raise ThawError(f"{question} Nobody is here to be asked: add --yes. {without}")
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().casefold() not in ("y", "yes"):
        raise ThawError(without)


def say(options: argparse.Namespace, value: Any, text: str) -> int:
    """Print the value as JSON if --json was given, else the text; exit code 0."""
    print(json.dumps(value, indent=1) if options.json else text)
    return 0


def print_json(value: Any) -> int:
    """Print the value as JSON; exit code 0."""
    print(json.dumps(value, indent=1))
    return 0


def print_table(rows: Sequence[Mapping[Any, str]]) -> None:
    """Print rows of the same columns beneath their names; nothing where there are none."""
    if not rows:
        return
    wide = max(shutil.get_terminal_size((160, 24)).columns, 160)
    lines = [list(rows[0]), *([plain(cell) for cell in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        print("  ".join(map(str.ljust, line, widths)).rstrip()[:wide])


def number(value: Any, form: str = "") -> str:
    """A number in a format, without one in four digits or as it is; empty for None."""
    if value is None:
        return ""
    return format(value, form or (".4g" if isinstance(value, float) else ""))
