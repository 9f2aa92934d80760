"""Evaluate finished runs: start the process that does it, and what it does from end to end."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tl_engine.data.leakage import duplicates_of
from tl_engine.errors import StoreError, ThawError
from tl_engine.execution.launcher import launcher
from tl_engine.execution.process import sentence_about
from tl_engine.runs import Cache, Evaluation, Run, RunStore, Stopped, StudyEvaluation, StudyFolder
from tl_engine.runs.claimed import FULL, REFUSED
from tl_engine.runs.evaluations import Observer
from tl_engine.runs.test_access import note
from tl_engine.storage.lease import hold, is_held

WAITS = "Waits until what trains now has ended"
STARTS = "Starts"
STOPPED = "Stopped by request."
POLL_SECONDS = 0.2


class Command(NamedTuple):
    """The command of an evaluation.

    Attributes:
        name: on the command line.
        sentence: what it does, for its help.
        asks_first: it evaluates all runs of one study, and asks before it does.
    """

    name: str
    sentence: str
    asks_first: bool = False


COMMANDS = {
    Evaluation.TEST: Command(
        "open-test", "open the test split of a study; counted for ever, so it asks first", True
    ),
    Evaluation.ROBUSTNESS: Command("robustness", "finished runs on corrupted images"),
}


def start(store: RunStore, study: StudyFolder, kind: Evaluation, runs: Iterable[Run] = ()) -> None:
    """Start a process that evaluates the finished runs of a study; it outlives this one. Does
    nothing where one lives.

    Args:
        runs: those to evaluate; none means all of the study. The test split is opened for all.
    """
    evaluation, command, starter = StudyEvaluation(study, kind), COMMANDS[kind], launcher()
    if holding := evaluation.take():
        evaluation.report({"stage": STARTS})  # else a process that dies at once had no progress
        chosen = [run.id for run in runs] or [study.id]
        if command.asks_first:
            chosen = [study.id, "--yes"]  # the page has asked
        starter.start(store, command.name, *chosen, holding=holding)


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
        handover: with which this process goes on with the evaluation's lease, which the process
            that started it took.
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
    from tl_engine.learning.evaluator import evaluate as evaluate_runs

    if evaluation.kind is not Evaluation.TEST:
        return evaluate_runs(evaluation, runs)
    note(evaluation.study, runs)  # first of all: whoever dies from here on has opened it
    refused = evaluate_runs(evaluation, runs)
    evaluation.report({"stage": "Looking for test images that training images look like"})
    for name in {run.recipe.dataset for run in runs}:
        duplicates_of(name, Cache(evaluation.study.path.parent))
    return refused
