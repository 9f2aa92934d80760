"""Run one command: its exit code, and a sentence for all that is refused.

Exit codes: 0 all went well; 1 a run failed, was stopped, died or is damaged, and the rest was done;
2 something was refused (a setting, an id, a picture); 130 Ctrl-C, which leaves training going on;
141 nobody reads what is printed any more (`| head`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from tl_engine.cli import (
    comparing,
    explaining,
    looking,
    managing,
    measuring,
    models,
    running,
    serving,
)
from tl_engine.errors import RecipeError, StoreError, ThawError
from tl_engine.runs import RunStore
from tl_engine.runs.claimed import FULL, REFUSED

EXAMPLES = """\
examples:
  thaw app                            the pages, on http://127.0.0.1:8501
  thaw run --preset try-it            both orders, about a minute
  thaw run --phase head:4:1e-3 --phase all:2:1e-5 --reverse --pairs 3
  thaw list                           every run and how it stands
  thaw show STUDY                     its question, its runs, its verdicts
  thaw compare STUDY                  verdicts, scores, settings that differ
  thaw explain STUDY                  what the phases did to the network
  thaw open-test STUDY                the test split, when all is chosen
  thaw classify STUDY/arm1-pair01 photo.jpg
  thaw clone STUDY --pairs 10         the same question with more pairs

exit codes: 0 well, 1 a run did not finish or is damaged, 2 refused (the sentence says why),
130 Ctrl-C (training goes on), 141 nobody reads the output any more
"""
UNREAD = 141
"""The exit code that a shell gives a program that SIGPIPE ended."""
GROUPS = (serving, running, looking, comparing, explaining, models, measuring, managing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            return _run(_options(arguments))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _print_nowhere()
        return UNREAD
    except OSError as error:
        if error.errno not in FULL + REFUSED:
            raise
        _print_nowhere()
        print(
            f"The disk refuses to be written: {error.strerror}. What is stored stays as it was; "
            "make room, then try again.",
            file=sys.stderr,
        )
        return 2


def parser() -> argparse.ArgumentParser:
    """Reads the command line."""
    made = argparse.ArgumentParser(
        prog="thaw",
        description="Thaw: which order of phases is better for your images?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.set_defaults(accepts_more=False)
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return made


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says; `more` holds the words that a command passes on."""
    made = parser()
    options, more = made.parse_known_args(arguments)
    if more and not options.accepts_more:
        made.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more
    return options


def _run(options: argparse.Namespace) -> int:
    try:
        return options.command(options, _store(options.runs_dir))
    except RecipeError as error:
        for problem in error.problems:
            print(f"{problem.field}: {problem.sentence}", file=sys.stderr)
        return 2
    except ThawError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nTraining goes on; `thaw list` shows it.", file=sys.stderr)
        return 130


def _store(root: Path) -> RunStore:
    """
    Raises:
        StoreError: for a path that cannot be a folder of studies.
    """
    try:
        return RunStore(root)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        why = getattr(error, "strerror", None) or "its name is no path"
        sentence = f"--runs-dir is a folder of studies, got {str(root)!r:.80}: {why}."
        raise StoreError(sentence) from None


def _print_nowhere() -> None:
    """Send to nowhere what is still to be printed, so that Python's last flush does not fail."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
