"""Commands that use finished runs: classify and export, the test split, corrupted images."""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from tl_engine.analysis.paired_scores import Robustness
from tl_engine.cli.printing import confirm, print_json, print_table
from tl_engine.data.sandbox import read_file, read_upload
from tl_engine.errors import ImageError, StoreError
from tl_engine.execution.evaluation import EVALUATIONS, evaluate
from tl_engine.execution.predictor import Predictor, ranked
from tl_engine.machine import work_in_background
from tl_engine.runs import Evaluation, Run, RunState, RunStore, StudyFolder, test_access
from tl_engine.runs.evaluations import Observer, result_of
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.run_outputs import model_file, open_log
from tl_engine.runs.studies import folder_of
from tl_engine.text import counted, plain


def classify(options: argparse.Namespace, store: RunStore) -> int:
    """Classify pictures with a finished run; one that cannot be read hides no other's answer."""
    run = _finished(store, options.run, "classify")
    with Predictor(store) as predictor:
        results = [_classify(predictor, run, file, options.invert) for file in options.pictures]
    refused = [result["error"] for result in results if "error" in result]
    for sentence in refused:
        print(sentence, file=sys.stderr)
    if options.json:
        print_json(results)
    else:
        for result in results:
            if "top" in result:
                print(_shown(Path(result["picture"])))
            for prediction in result.get("top", []):
                print(f"  {prediction['probability']:7.2%}  {prediction['label']}")
    return 2 if refused else 0


def _classify(predictor: Predictor, run: Run, file: Path, invert: bool) -> dict[str, Any]:
    """The likeliest classes of a picture, or the sentence why it cannot be read."""
    described = run.recipe.described_dataset
    try:
        picture = read_upload(read_file(file), described, invert=invert)
    except ImageError as error:
        return {"picture": str(file), "error": f"{_shown(file)}: {error}"}
    prediction = predictor.classify(run, picture.pixels[None])
    top = ranked(prediction.probabilities[0], described.class_names)
    return {"picture": str(file), "top": list(map(vars, top))}


def _shown(file: Path) -> str:
    """A file's name on one line; bytes that are no characters are escaped."""
    return plain(str(file)[:200].encode(errors="backslashreplace").decode())


def export(options: argparse.Namespace, store: RunStore) -> int:
    """Keep a finished run's model as model.h5 too."""
    run = _finished(store, options.run, "be exported")
    with _stderr_to_log(run):
        from tl_engine.learning.results import export_model

        export_model(run, options.format)
    print(model_file(run, options.format))
    return 0


@contextmanager
def _stderr_to_log(run: Run) -> Iterator[None]:
    """Send what libraries, TensorFlow's C++ among them, print on standard error to the run's log,
    where it stands from training as well."""
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open_log(run) as log:
            os.dup2(log.fileno(), 2)
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


def _finished(store: RunStore, run_id: str, what: str) -> Run:
    run = store.run(run_id)
    if (state := run.state) is not RunState.FINISHED:
        raise StoreError(f"Run {run.id} cannot {what}: it is {state.value}, not finished.")
    return run


def evaluation(kind: Evaluation) -> partial[int]:
    """The command that evaluates finished runs."""
    command = partial(_evaluate, kind)
    command.__doc__ = EVALUATIONS[kind].title
    return command


def _evaluate(kind: Evaluation, options: argparse.Namespace, store: RunStore) -> int:
    """Evaluate the runs that the ids name, study by study, and print what that gave."""
    runs = store.select(options.ids)
    if EVALUATIONS[kind].asks_first:
        question = (
            f"Opening the test split of {runs[0].study.id} is counted for ever, and every verdict "
            "says so: do it once, when all is chosen. Open it?"
        )
        confirm(options, question, "The test split stays closed.")
    work_in_background()
    try:
        is_complete = _measure(kind, runs, store, options.lease)
    except KeyboardInterrupt:
        print("\nWhat was measured is kept; the same command goes on.", file=sys.stderr)
        return 130
    results = {run.id: result_of(run, kind) for run in runs}
    if options.json or kind not in (Evaluation.TEST, Evaluation.ROBUSTNESS):
        print_json(results)
    else:
        _print_results(kind, results, folder_of(runs[0]), store)
    return 0 if is_complete else 1


def _measure(kind: Evaluation, runs: list[Run], store: RunStore, lease: str) -> bool:
    """Evaluate runs, study by study; whether no evaluation ended before its time."""
    is_complete = True
    for study in {run.study.id: folder_of(run) for run in runs}.values():
        chosen = [run for run in runs if run.study.id == study.id]
        progress = _progress_of(study.id)
        if ended := evaluate(store, study, kind, chosen, handover=lease, observer=progress):
            is_complete = False
            print(f"{study.id}: {ended}", file=sys.stderr)
    return is_complete


def _print_results(
    kind: Evaluation, results: dict[str, Any], study: StudyFolder, store: RunStore
) -> None:
    if kind is Evaluation.TEST:
        count = test_access.count(Evidence(store).test_accesses(study))
        print(f"The test split was opened {counted(count, 'time')}.")
    print_table([{"run": run, **_row(kind, found)} for run, found in results.items() if found])


def _row(kind: Evaluation, result: dict[str, Any]) -> dict[str, str]:
    if kind is Evaluation.TEST:
        return {"test images right": f"{result['correct']:,} of {result['total']:,}"}
    shares = Robustness.of(result)
    return {"as they are": f"{shares.clean:.1%}", "mean of all corruptions": f"{shares.mean:.1%}"}


def _progress_of(study_id: str) -> Observer:
    """Prints where an evaluation is, when it comes to another run."""
    last = ""

    def show(progress: dict[str, Any]) -> None:
        nonlocal last
        where = f" {progress['run']} of {progress['runs']}" if "run" in progress else ""
        line = progress.get("stage", "") + where
        if line and line != last:
            left = progress.get("seconds_left")
            more = f", about {left:.0f} s left" if left else ""
            print(f"{study_id}: {line}{more}", file=sys.stderr, flush=True)
            last = line

    return show
