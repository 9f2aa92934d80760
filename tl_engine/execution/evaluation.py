"""Evaluate finished runs: start the process that asks them, and what it does from end to end."""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from tl_engine.data.leakage import duplicates_of
from tl_engine.errors import StoreError, ThawError
from tl_engine.execution import local
from tl_engine.runs import Cache, Evaluation, Run, RunStore, Stopped, StudyEvaluation, StudyFolder
from tl_engine.runs.claimed import FULL, REFUSED
from tl_engine.runs.test_access import note

COMMANDS = {Evaluation.TEST: "open-test", Evaluation.ROBUSTNESS: "robustness"}
WAITS = "Waits until what trains now has ended"
STARTS = "Starts"
STOPPED = "Stopped by request."
POLL_SECONDS = 0.2
Told = Callable[[dict[str, Any]], object]


def start(store: RunStore, study: StudyFolder, kind: Evaluation, runs: Iterable[Run] = ()) -> None:
    """Start a process that asks the finished runs of a study; it outlives this one. Does nothing
    where one lives.

    Args:
        runs: those to ask; none means all of the study. The test split is opened for all.
    """
    evaluation = StudyEvaluation(study, kind)
    lock = evaluation.take()
    if lock is None:
        return
    is_test = kind is Evaluation.TEST
    chosen = [study.id, "--yes"] if is_test else [run.id for run in runs]  # asked on the page
    try:
        evaluation.report({"stage": STARTS})  # whoever dies before it says a word has said this
        with store.open_worker_log() as log:
            words = ("--runs-dir", str(store.root), "--lock", str(lock))
            local.start(COMMANDS[kind], *words, *(chosen or [study.id]), log=log, keep=(lock,))
    finally:
        os.close(lock)


def evaluate(
    store: RunStore,
    study: StudyFolder,
    kind: Evaluation,
    runs: Iterable[Run],
    *,
    taken: int | None = None,
    told: Told | None = None,
) -> str:
    """Ask, in this process, those of the runs that have finished and were not asked yet, once
    nothing trains.

    Args:
        taken: descriptor that holds the evaluation's lock already.
        told: called with every sign of progress.

    Returns:
        How it ended, for people; empty where every run has answered.

    Raises:
        StoreError: where another process asks.
    """
    evaluation = _Told(study, kind, told)
    with evaluation.hold(taken) as ours:
        if not ours:
            raise StoreError(f"The runs of {study.title} are being measured already.")
        evaluation.report({"stage": WAITS if store.is_slot_taken() else STARTS})
        ended = "It ended before its time."
        try:
            with _slot(store, evaluation) as ours:
                evaluation.report({"stage": STARTS})
                ended = _ask(evaluation, evaluation.missing(runs)) if ours else STOPPED
        finally:
            evaluation.report({"ended": ended})
        return ended


@contextmanager
def _slot(store: RunStore, evaluation: StudyEvaluation) -> Iterator[bool]:
    """Held as soon as nothing trains; gives False where somebody stops the waiting."""
    while not evaluation.stop_requested:
        with store.slot(wait=False) as ours:
            if ours:
                yield True
                return
        time.sleep(POLL_SECONDS)
    yield False


class _Told(StudyEvaluation):
    """Tells somebody besides what it writes down."""

    def __init__(self, study: StudyFolder, kind: Evaluation, told: Told | None) -> None:
        super().__init__(study, kind)
        self._told = told

    def report(self, progress: dict[str, Any]) -> None:
        super().report(progress)
        if self._told:
            self._told(progress)


def _ask_each(evaluation: StudyEvaluation, runs: list[Run]) -> list[str]:
    """Ask each run; a sentence for each that could not be asked."""
    from tl_engine.learning.evaluator import evaluate as ask

    if evaluation.kind is not Evaluation.TEST:
        return ask(evaluation, runs)
    note(evaluation.study, runs)  # first of all: whoever dies from here on has opened it
    refused = ask(evaluation, runs)
    evaluation.report({"stage": "Looking for test images that training images look like"})
    for name in {run.recipe.dataset for run in runs}:
        duplicates_of(name, Cache(evaluation.study.path.parent))
    return refused


def _ask(evaluation: StudyEvaluation, runs: list[Run]) -> str:
    """Ask the runs; how it ended."""
    if not runs:
        return ""
    if evaluation.stop_requested:
        return STOPPED
    try:
        return " ".join(_ask_each(evaluation, runs))
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
        return f"{type(error).__name__}: {error}"[:500]
