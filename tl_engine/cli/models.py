"""Commands that use a finished run's model: classify, export."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tl_engine.cli.printing import add_command, print_json
from tl_engine.data.sandbox import read_file, read_upload
from tl_engine.errors import ImageError, StoreError
from tl_engine.execution.predictor import Predictor, ranked
from tl_engine.runs import Run, RunState, RunStore
from tl_engine.runs.run_outputs import EXPORTS, model_file, open_log
from tl_engine.text import plain


def add_to(commands: Any) -> None:
    """Add them to the parser."""
    text = "classify pictures with a finished run; one that cannot be read hides no other's answer"
    made = add_command(commands, "classify", classify, text, json=True)
    made.add_argument("run", metavar="STUDY/RUN")
    made.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE")
    made.add_argument("--invert", action="store_true", help="swap dark and light first")
    names = " or ".join(f"model.{suffix}" for suffix in EXPORTS)
    made = add_command(commands, "export", export, f"keep a finished run's model as {names} too")
    made.add_argument("run", metavar="STUDY/RUN")
    made.add_argument("--format", choices=EXPORTS, default=EXPORTS[0])


def classify(options: argparse.Namespace, store: RunStore) -> int:
    """Classify picture files with a finished run; exit code 2 where one could not be read."""
    run = store.run(options.run)
    _check_finished(run, "classify")
    with Predictor(store) as predictor:
        results = [_classify(predictor, run, file, options.invert) for file in options.pictures]
    refused = [result for result in results if "error" in result]
    for result in refused:
        print(result["error"], file=sys.stderr)
    if options.json:
        print_json(results)
    else:
        _print_results([result for result in results if "top" in result])
    return 2 if refused else 0


def export(options: argparse.Namespace, store: RunStore) -> int:
    """Keep a finished run's model in one more format; model.h5 is how the article saves it."""
    run = store.run(options.run)
    _check_finished(run, "be exported")
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


def _classify(predictor: Predictor, run: Run, file: Path, invert: bool) -> dict[str, Any]:
    """The likeliest classes of a picture, or the sentence why it cannot be read."""
    described = run.recipe.described_dataset
    try:
        picture = read_upload(read_file(file), described, invert=invert)
    except ImageError as error:
        return {"picture": str(file), "error": f"{_shown(file)}: {error}"}
    prediction = predictor.classify(run, picture.pixels[None])
    top = ranked(prediction.probabilities[0], described.class_names)
    return {"picture": str(file), "top": [vars(one) for one in top]}


def _print_results(results: list[dict[str, Any]]) -> None:
    for result in results:
        print(_shown(Path(result["picture"])))
        for prediction in result["top"]:
            print(f"  {prediction['probability']:7.2%}  {prediction['label']}")


def _shown(file: Path) -> str:
    """A file's name on one line; bytes that are no characters are escaped."""
    return plain(str(file)[:200].encode(errors="backslashreplace").decode())


def _check_finished(run: Run, what: str) -> None:
    state = run.state
    if state is not RunState.FINISHED:
        raise StoreError(f"Run {run.id} cannot {what}: it is {state.value}, not finished.")
