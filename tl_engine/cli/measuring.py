"""Commands that measure: the test split, corrupted images, step times, reliability."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from typing import Any

from tl_engine.analysis.robustness import Robustness
from tl_engine.cli.printing import add_command, confirm, count, print_json, print_table, say, whole
from tl_engine.errors import Problem, RecipeError
from tl_engine.execution import cost
from tl_engine.execution.evaluation import EVALUATIONS, evaluate
from tl_engine.machine import work_in_background
from tl_engine.recipe import Recipe
from tl_engine.runs import Evaluation, RunStore, test_access
from tl_engine.runs.evaluation_results import result_of
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.study_folder import folder_of
from tl_engine.text import counted

QUESTION = (
    "Opening the test split of {study} is counted for ever, and every verdict says so: do it "
    "once, when all is chosen. Open it?"
)


def add_to(commands: Any) -> None:
    """Add them to the parser."""
    for kind, row in EVALUATIONS.items():
        function = partial(evaluate_runs, kind)
        made = add_command(
            commands, row.command, function, row.title, json=True, yes=row.asks_first
        )
        if row.asks_first:
            made.add_argument("ids", nargs=1, metavar="STUDY")
        else:
            made.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
        made.add_argument("--lease", default="", help=argparse.SUPPRESS)
    text = "measure step times here (Launch does it for you)"
    made = add_command(commands, "measure", measure, text)
    made.add_argument("recipes", nargs="+", metavar="RECIPE_AS_JSON")
    text = "kill training at random: nothing may get lost"
    made = add_command(commands, "kill-test", kill_test, text, json=True)
    made.add_argument("--kills", type=count, default=30, metavar="N", help="how often (30)")
    made.add_argument("--seed", type=whole, default=1, metavar="S", help="decides when (1)")


def measure(options: argparse.Namespace, store: RunStore) -> int:
    """Measure how long steps take on this machine, for estimates."""
    cost.measure(store, [_recipe(text) for text in options.recipes])
    return 0


def kill_test(options: argparse.Namespace, store: RunStore) -> int:
    """Kill training at random in a store of its own, and compare with an undisturbed run."""
    from tl_engine.execution.kill_test import kill_test as kill_test_runs

    with tempfile.TemporaryDirectory(prefix=".kill-test-", dir=store.root) as folder:
        events = kill_test_runs(RunStore(folder), options.kills, options.seed)
        while True:
            try:
                print(next(events), file=sys.stderr)
            except StopIteration as ended:
                report = ended.value
                break
    say(options, {**vars(report), "seed": options.seed}, f"{report} Seed {options.seed}.")
    return 0 if report.is_clean else 1


def _recipe(text: str) -> Recipe:
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        sentence = f"A recipe is a JSON object with phases and settings, got {text!r:.60}."
        raise RecipeError([Problem("recipe", sentence)])
    return Recipe.from_dict(data)


def evaluate_runs(kind: Evaluation, options: argparse.Namespace, store: RunStore) -> int:
    """Measure finished runs, study by study, and print what that gave; all of a study, and each
    time counted, where the evaluation asks first."""
    runs = store.select(options.ids)
    if EVALUATIONS[kind].asks_first:
        question = QUESTION.format(study=runs[0].study.id)
        confirm(options, question, "The test split stays closed.")
    work_in_background()
    is_complete = True
    for study_id in dict.fromkeys(run.study.id for run in runs):
        chosen = [run for run in runs if run.study.id == study_id]
        study, progress = folder_of(chosen[0]), _Progress(study_id)
        try:
            ended = evaluate(store, study, kind, chosen, handover=options.lease, observer=progress)
        except KeyboardInterrupt:
            print("\nWhat was measured is kept; the same command goes on.", file=sys.stderr)
            return 130
        if ended:
            is_complete = False
            print(f"{study_id}: {ended}", file=sys.stderr)
    results = {run.id: result_of(run, kind) for run in runs}
    if options.json or kind not in (Evaluation.TEST, Evaluation.ROBUSTNESS):
        print_json(results)
    else:
        accesses = Evidence(store).test_accesses(folder_of(runs[0]))
        _print_results(kind, {name: one for name, one in results.items() if one}, accesses)
    return 0 if is_complete else 1


def _print_results(
    kind: Evaluation, results: dict[str, dict[str, Any]], accesses: list[test_access.TestSetAccess]
) -> None:
    if kind is Evaluation.TEST:
        print(f"The test split was opened {counted(test_access.count(accesses), 'time')}.")
        rows = [[run, f"{one['correct']:,} of {one['total']:,}"] for run, one in results.items()]
        print_table(["run", "test images right"], rows)
    else:
        shown = {run: Robustness.of(one) for run, one in results.items()}
        rows = [[run, f"{one.clean:.1%}", f"{one.mean:.1%}"] for run, one in shown.items()]
        print_table(["run", "as they are", "mean of all corruptions"], rows)


class _Progress:
    """Prints where an evaluation is, when it comes to another run."""

    def __init__(self, study_id: str) -> None:
        self._study_id, self._last = study_id, ""

    def __call__(self, progress: dict[str, Any]) -> None:
        where = f" {progress['run']} of {progress['runs']}" if "run" in progress else ""
        line = progress.get("stage", "") + where
        if line and line != self._last:
            left = progress.get("seconds_left")
            more = f", about {left:.0f} s left" if left else ""
            print(f"{self._study_id}: {line}{more}", file=sys.stderr, flush=True)
            self._last = line
