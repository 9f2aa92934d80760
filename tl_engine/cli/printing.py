"""What commands share: options, results as text or JSON, questions before what cannot be undone."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tl_engine.errors import ThawError
from tl_engine.machine import default_runs_folder
from tl_engine.runs import RunStore
from tl_engine.text import plain

MAXIMUM_DIGITS = 9
Command = Callable[[argparse.Namespace, RunStore], int]


def add_command(
    commands: Any, name: str, command: Command, help: str, *, json: bool = False, yes: bool = False
) -> argparse.ArgumentParser:
    """Add a command to the parser.

    Args:
        json: whether it can print JSON.
        yes: whether it asks before it does what cannot be undone.
    """
    made = commands.add_parser(name, help=help, description=help, allow_abbrev=False)
    made.set_defaults(command=command)
    made.add_argument(
        "--runs-dir",
        type=Path,
        default=default_runs_folder(),
        help="the folder of runs (%(default)s)",
    )
    if json:
        made.add_argument("--json", action="store_true", help="print JSON on standard output")
    if yes:
        made.add_argument("--yes", action="store_true", help="do it without being asked")
    return made


def whole(text: str) -> int:
    """A whole number of at most MAXIMUM_DIGITS digits; the caller checks its range."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= MAXIMUM_DIGITS):
        raise argparse.ArgumentTypeError(f"a whole number such as 3, got {text!r:.40}")
    return int(text)


def count(text: str) -> int:
    """A whole number from 1 on."""
    if (number := whole(text)) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 on, got {text!r:.40}")
    return number


def confirm(options: argparse.Namespace, question: str, without: str) -> None:
    """Ask at the terminal, unless --yes was given.

    Args:
        without: a sentence that says what was not done, for everything but yes.

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


def say(options: argparse.Namespace, value: Any, text: str) -> None:
    """Print the value as JSON if --json was given, else the text."""
    print(json.dumps(value, indent=1) if options.json else text)


def print_json(value: Any) -> int:
    """Print the value as JSON; exit code 0."""
    print(json.dumps(value, indent=1))
    return 0


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print rows beneath their columns' names; nothing where there are none."""
    if not rows:
        return
    wide = shutil.get_terminal_size((160, 24)).columns
    cells = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for row in [columns, *cells]:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip()[: max(wide, 160)])


def percent(value: float | None) -> str:
    """A share in percent; empty for none."""
    return "" if value is None else f"{value:.1%}"


def number(value: Any) -> str:
    """A number in four digits, anything else as it is; empty for none."""
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
