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

from tl_engine.cli import comparing, explaining, looking, managing, measuring, models, running
from tl_engine.errors import RecipeError, StoreError, ThawError
from tl_engine.runs import RunStore
from tl_engine.runs.claimed import FULL, REFUSED

EXAMPLES = """\
examples:
  python -m tl_engine run --preset try-it            both orders, about a minute
  python -m tl_engine run --phase head:4:1e-3 --phase all:2:1e-5 --reverse --pairs 3
  python -m tl_engine list                           every run and how it stands
  python -m tl_engine show STUDY                     its question, its runs, its verdicts
  python -m tl_engine compare STUDY                  verdicts, scores, settings that differ
  python -m tl_engine explain STUDY                  what the phases did to the network
  python -m tl_engine open-test STUDY                the test split, when all is chosen
  python -m tl_engine classify STUDY/arm1-pair01 photo.jpg
  python -m tl_engine clone STUDY --pairs 10         the same question with more pairs

exit codes: 0 well, 1 a run did not finish or is damaged, 2 refused (the sentence says why),
130 Ctrl-C (training goes on), 141 nobody reads the output any more
"""
UNREAD = 141
"""What a shell makes of a program that SIGPIPE ended."""
GROUPS = (running, looking, comparing, explaining, models, measuring, managing)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            options = parser().parse_args(arguments)
            return _run(options)
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
            f"The disk refuses to be written: {error.strerror}. What was kept stays as it was; "
            "make room, then try again.",
            file=sys.stderr,
        )
        return 2


def parser() -> argparse.ArgumentParser:
    """Reads the command line."""
    made = argparse.ArgumentParser(
        prog="python -m tl_engine",
        description="Thaw without a browser: which order of phases is better for your images?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = made.add_subparsers(required=True, metavar="COMMAND")
    for group in GROUPS:
        group.add_to(commands)
    return made


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
        print("\nTraining goes on; `python -m tl_engine list` shows it.", file=sys.stderr)
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
    """Let Python's own flush at its end find nobody missing."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
