"""The table of commands; run one: its exit code (see EXAMPLES), a sentence for what is refused."""

import argparse
import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tl_engine.cli import comparing, explaining, finished_runs, looking, managing, running
from tl_engine.cli.printing import Argument, argument, count, flag, whole
from tl_engine.cli.study_options import STUDY_OPTIONS
from tl_engine.errors import RecipeError, StoreError, ThawError
from tl_engine.execution.evaluation import EVALUATIONS
from tl_engine.execution.worker import LINGER_SECONDS
from tl_engine.machine import default_runs_folder
from tl_engine.runs import RunStore
from tl_engine.runs.claimed import FULL, REFUSED
from tl_engine.runs.run_outputs import EXPORTS

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

JSON = flag("--json", help="print JSON on standard output")
YES = flag("--yes", help="do it without being asked")
DETACH = flag("--detach", help="return at once")
LEASE = argument("--lease", default="", help=argparse.SUPPRESS)
STUDY = argument("study", metavar="STUDY")
RUN = argument("run", metavar="STUDY/RUN")
ONE = argument("ids", nargs=1, metavar="STUDY")
IDS = argument("ids", nargs="+", metavar="STUDY[/RUN]")
LINGER = f"wait for more ({LINGER_SECONDS:.0f})"

Command = tuple[Callable[[argparse.Namespace, RunStore], int], *tuple[Argument, ...]]


def commands() -> dict[str, Command]:
    """By name, each command's function, whose docstring is its help, and its arguments."""
    return {
        "app": (managing.app,),
        "run": (running.run, JSON, *STUDY_OPTIONS, DETACH),
        "clone": (
            running.clone,
            JSON,
            STUDY,
            argument("--pairs", type=whole, help="number of paired seeds (as many as it had)"),
            argument("--title", help="what to call the new study (the same)"),
            flag("--same-seeds", help="repeat pairs that were computed before"),
            DETACH,
        ),
        "resume": (running.resume_runs, JSON, argument("run", metavar="STUDY[/RUN]")),
        "stop": (running.stop, IDS),
        "worker": (
            running.worker,
            argument(
                "--linger", type=float, default=LINGER_SECONDS, metavar="SECONDS", help=LINGER
            ),
            LEASE,
        ),
        "list": (looking.list_runs, JSON),
        "show": (looking.show, JSON, argument("id", metavar="STUDY[/RUN]")),
        "compare": (
            comparing.compare,
            JSON,
            IDS,
            flag("--any-budget", help="verdicts on arms that cost differently too"),
        ),
        "explain": (explaining.explain, JSON, IDS),
        "classify": (
            finished_runs.classify,
            JSON,
            RUN,
            argument("pictures", nargs="+", type=Path, metavar="PICTURE"),
            flag("--invert", help="swap dark and light first"),
        ),
        "export": (
            finished_runs.export,
            RUN,
            argument("--format", choices=EXPORTS, default=EXPORTS[0]),
        ),
        **{
            row.command: (
                finished_runs.evaluation(kind),
                *((JSON, YES, ONE) if row.asks_first else (JSON, IDS)),
                LEASE,
            )
            for kind, row in EVALUATIONS.items()
        },
        "measure": (managing.measure, argument("recipes", nargs="+", metavar="RECIPE_AS_JSON")),
        "kill-test": (
            managing.kill,
            JSON,
            argument("--kills", type=count, default=30, metavar="N", help="how often (30)"),
            argument("--seed", type=whole, default=1, metavar="S", help="decides when (1)"),
        ),
        "rename": (
            managing.rename,
            STUDY,
            argument("title", metavar="TITLE", help="1 to 200 characters"),
        ),
        "note": (
            managing.note,
            STUDY,
            argument("text", metavar="TEXT", help='replaces the note; "" removes it'),
        ),
        "delete": (managing.delete, YES, STUDY),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code."""
    try:
        try:
            return _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        _print_nowhere()
        return 141  # what a shell gives a program that SIGPIPE ended
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
    whole_line = argparse.ArgumentParser(
        prog="thaw",
        description="Thaw: which order of phases is better for your images?",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = "the folder of runs (%(default)s)"
    runs_dir = argument("--runs-dir", type=Path, default=default_runs_folder(), help=where)
    subparsers = whole_line.add_subparsers(required=True, metavar="COMMAND")
    for name, (command, *arguments) in commands().items():
        text = (command.__doc__ or "").rstrip(".")
        text = text[:1].lower() + text[1:]
        made = subparsers.add_parser(name, help=text, description=text, allow_abbrev=False)
        made.set_defaults(command=command)
        for add_to in (runs_dir, *arguments):
            add_to(made)
    of_app = "Start the pages. Other options are Streamlit's, such as --server.port 8600."
    subparsers.choices["app"].description = of_app
    return whole_line


def _run(arguments: Sequence[str] | None) -> int:
    made = parser()
    options, more = made.parse_known_args(arguments)
    if more and options.command is not managing.app:
        made.error(f"unrecognized arguments: {' '.join(more)}")
    options.more = more
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
