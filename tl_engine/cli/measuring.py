"""Commands that measure: the test split, corrupted images, step times, reliability."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from typing import Any

from tl_engine.analysis.robustness import Robustness
from tl_engine.cli.printing import add_command, confirm, count, print_json, print_table, say, whole
from tl_engine.errors import Problem, RecipeError
from tl_engine.execution.evaluation import COMMANDS, evaluate
from tl_engine.execution.process import work_in_background
from tl_engine.recipe import Recipe
from tl_engine.runs import Evaluation, RunStore, test_access
from tl_engine.runs.evaluations import result_of
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.studies import folder_of
from tl_engine.text import counted

QUESTION = (
    "Opening the test split of {study} is counted for ever, and every verdict says so: do it "
    "once, when all is chosen. Open it?"
)


def add_to(commands: Any) -> None:
    """Add them to the parser."""
    name, text, asks = COMMANDS[Evaluation.TEST]
    testing = add_command(commands, name, open_test, text, json=True, yes=asks)
    testing.add_argument("study", metavar="STUDY")
    name, text, asks = COMMANDS[Evaluation.ROBUSTNESS]
    corruption = add_command(commands, name, robustness, text, json=True, yes=asks)
    corruption.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
    for evaluating in (testing, corruption):
        evaluating.add_argument("--lease", default="", help=argparse.SUPPRESS)
    text = "measure step times here (Launch does it for you)"
    made = add_command(commands, "measure", measure, text)
    made.add_argument("recipes", nargs="+", metavar="RECIPE_AS_JSON")
    text = "kill training at random: nothing may get lost"
    made = add_command(commands, "kill-test", kill_test, text, json=True)
    made.add_argument("--kills", type=count, default=30, metavar="N", help="how often (30)")
    made.add_argument("--seed", type=whole, default=1, metavar="S", help="decides when (1)")


def open_test(options: argparse.Namespace, store: RunStore) -> int:
    """Measure a study's finished runs on its test split; each testing is counted."""
    study = store.select([options.study])[0].study
    confirm(options, QUESTION.format(study=study.id), "The test split stays closed.")
    return _evaluate(options, store, Evaluation.TEST, [options.study])


def robustness(options: argparse.Namespace, store: RunStore) -> int:
    """Measure finished runs on corrupted validation images."""
    return _evaluate(options, store, Evaluation.ROBUSTNESS, options.ids)


def measure(options: argparse.Namespace, store: RunStore) -> int:
    """Measure how long steps take on this machine, for estimates."""
    from tl_engine.execution.step_times import measure as measure_here

    measure_here(store, [_recipe(text) for text in options.recipes])
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


def _evaluate(
    options: argparse.Namespace, store: RunStore, kind: Evaluation, ids: list[str]
) -> int:
    """Measure the runs that the ids name, study by study, and print what that gave."""
    runs = store.select(ids)
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
    if options.json:
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
