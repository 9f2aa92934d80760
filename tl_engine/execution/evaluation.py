"""Evaluate finished runs: start the process that does it, and what it does from end to end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from tl_engine.analysis.work import latest_rate, rate_key, robustness_work, test_work
from tl_engine.data.duplicates import duplicates_of
from tl_engine.errors import StoreError, ThawError, sentence_about
from tl_engine.execution.launcher import launcher
from tl_engine.recipe import Recipe
from tl_engine.runs import Cache, Evaluation, Run, RunStore, Stopped, StudyEvaluation, StudyFolder
from tl_engine.runs.claimed import FULL, REFUSED
from tl_engine.runs.evaluations import Observer
from tl_engine.runs.test_access import note
from tl_engine.storage.lease import hold, is_held

WAITS = "Waits until what trains now has ended"
STARTS = "Starts"
STOPPED = "Stopped by request."
POLL_SECONDS = 0.2


class Row(NamedTuple):
    """What one can measure finished runs on after training.

    Attributes:
        command: its name on the command line.
        title: what it does, for the command's help.
        work: of one run, in forward passes of one image, given its recipe.
        function: of `learning.evaluator`, which measures a run.
        asks_first: it measures all runs of one study, and asks before it does.
    """

    command: str
    title: str
    work: Callable[[Recipe], int]
    function: str
    asks_first: bool = False


EVALUATIONS = {
    Evaluation.TEST: Row(
        "open-test",
        "open the test split of a study; counted for ever, so it asks first",
        test_work,
        "on_test_split",
        asks_first=True,
    ),
    Evaluation.ROBUSTNESS: Row(
        "robustness", "finished runs on corrupted images", robustness_work, "on_corrupted_images"
    ),
}


def evaluation_seconds(
    recipes: Iterable[Recipe], kind: Evaluation, measurements: Iterable[Mapping[str, Any]]
) -> float | None:
    """How long measuring finished runs of these recipes takes here, but for the seconds in which
    TensorFlow starts; None where a network was never measured."""
    measurements, seconds = list(measurements), 0.0
    for recipe in recipes:
        rates = (latest_rate(rate_key(recipe, phase), measurements) for phase in recipe.phases)
        rate = next((rate for rate in rates if rate), None)
        if rate is None:
            return None
        seconds += EVALUATIONS[kind].work(recipe) * rate["forward_seconds_per_image"]
    return seconds


def start(store: RunStore, study: StudyFolder, kind: Evaluation, runs: Iterable[Run] = ()) -> None:
    """Start a process that evaluates finished runs of a study, all of them where none are named or
    the test split is opened; it outlives this one. Does nothing where one lives."""
    evaluation, row, starter = StudyEvaluation(study, kind), EVALUATIONS[kind], launcher()
    if holding := evaluation.take():
        evaluation.report({"stage": STARTS})  # else a process that dies at once had no progress
        chosen = [run.id for run in runs] or [study.id]
        if row.asks_first:
            chosen = [study.id, "--yes"]  # the page has asked
        starter.start(store, row.command, *chosen, holding=holding)


def evaluate(
    store: RunStore,
    study: StudyFolder,
    kind: Evaluation,
    runs: Iterable[Run],
    *,
    handover: str = "",
    observer: Observer | None = None,
) -> str:
    """Evaluate, in this process, those of the runs that have finished and have no results yet,
    once nothing trains.

    Args:
        handover: of the evaluation's lease, which the process that started this one took.
        observer: called with each report of progress.

    Returns:
        How it ended, for people; empty where every run has results.

    Raises:
        StoreError: where another process evaluates.
    """
    evaluation = StudyEvaluation(study, kind, observer)
    with evaluation.hold(handover) as holding:
        if not holding:
            raise StoreError(f"The runs of {study.title} are being measured already.")
        evaluation.report({"stage": WAITS if is_held(store.training_lease) else STARTS})
        ended = "It ended before its time."
        try:
            with _turn(store, evaluation) as has_turn:
                evaluation.report({"stage": STARTS})
                ended = _attempt(evaluation, evaluation.missing(runs)) if has_turn else STOPPED
        finally:
            evaluation.report({"ended": ended})
        return ended


@contextmanager
def _turn(store: RunStore, evaluation: StudyEvaluation) -> Iterator[bool]:
    """Begins as soon as nothing trains; gives False where somebody stops the waiting."""
    while not evaluation.stop_requested:
        with hold(store.training_lease) as holding:
            if holding:
                yield True
                return
        time.sleep(POLL_SECONDS)
    yield False


def _attempt(evaluation: StudyEvaluation, runs: list[Run]) -> str:
    """Evaluate the runs; how it ended."""
    if not runs:
        return ""
    if evaluation.stop_requested:
        return STOPPED
    try:
        return " ".join(_evaluate_runs(evaluation, runs))
    except Stopped:
        return "Stopped by request; what was measured is kept."
    except ThawError as error:
        return str(error)
    except OSError as error:
        if error.errno not in FULL + REFUSED:
            raise
        return f"The disk refuses to be written: {error.strerror}. What was measured is kept."
    except Exception as error:
        traceback.print_exc()
        return sentence_about(error)


def _evaluate_runs(evaluation: StudyEvaluation, runs: list[Run]) -> list[str]:
    """Evaluate each run; a sentence for each that could not be evaluated."""
    from tl_engine.learning import evaluator

    row = EVALUATIONS[evaluation.kind]
    measure = getattr(evaluator, row.function)
    if evaluation.kind is Evaluation.TEST:
        note(evaluation.study, runs)  # first of all: whoever dies from here on has opened it
    refused = evaluator.evaluate(evaluation, runs, row.work, measure)
    if evaluation.kind is Evaluation.TEST:
        evaluation.report({"stage": "Looking for test images that training images look like"})
        for name in {run.recipe.dataset for run in runs}:
            duplicates_of(name, Cache(evaluation.study.path.parent))
    return refused
