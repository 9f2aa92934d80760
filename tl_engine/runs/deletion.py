"""Deleting a study: what it asked, computed and read of the test set is written down first, so that
deleting makes nothing unseen."""

from __future__ import annotations

import contextlib
from typing import Any

from tl_engine.errors import StoreError
from tl_engine.runs import ledger, test_access
from tl_engine.runs.evaluation_results import Evaluation
from tl_engine.runs.evidence import has_begun, of_store
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.study_evaluation import StudyEvaluation
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.runs.summary import Final, final_of, summarise
from tl_engine.storage import atomic


def delete_study(study: StudyFolder) -> None:
    """Delete a study with all its runs.

    Raises:
        StoreError: while one of its runs is running, or is evaluated.
    """
    # Before its runs are held: a run that is held looks as if it were training.
    line = _ledger_line(study) if study.is_readable else None
    with contextlib.ExitStack() as held:
        runs = study.runs() if study.is_readable else []
        if not all([held.enter_context(run.hold()) for run in runs]):
            raise StoreError(f"{study.title} is running: stop it first, then delete it.")
        if any(StudyEvaluation(study, kind).is_alive for kind in Evaluation):
            raise StoreError(f"{study.title} is being measured: stop that first.")
        if line:
            ledger.add(study.path.parent, line)
        atomic.delete_folder(study.path)


def _ledger_line(study: StudyFolder) -> dict[str, Any] | None:
    """The ledger's line of a study (see `shapes.DeletedStudy`); None where there is nothing to
    write down: no epoch was committed, no run failed or was stopped, no test image was read."""
    runs = [_run_entry(run) for run in study.runs() if has_begun(run) or _has_failed(run)]
    accesses = _accesses(study)
    if not runs and not accesses:
        return None
    evidence = of_store(study.path.parent)
    (question,) = (one for one in evidence.questions() if one.study == study.id)
    computed = evidence.with_seen(question).computed_before
    before = [
        (arm, pair)
        for arm, recipe in enumerate(question.recipes)
        for pair in question.pairs
        if (recipe, pair) in computed
    ]
    return {
        "study": study.id,
        "title": study.title,
        "created": study.created.isoformat(),
        "recipes": [arm.recipe.to_dict() for arm in study.study.arms],
        "datasets": study.study.datasets(),
        "pairs": list(question.pairs),
        "metric": question.metric,
        "computed_before": before,
        "runs": runs,
        "openings": accesses,
    }


def _accesses(study: StudyFolder) -> list[dict[str, Any]]:
    """Every access to the test set; of a damaged log, one access of all runs at an unknown time."""
    places = {run.path.name: (run.arm_index, run.pair) for run in study.runs()}
    try:
        return [
            {"at": one.at, "runs": sorted(places[name] for name in one.runs if name in places)}
            for one in test_access.read(study)
        ]
    except StoreError:
        return [{"at": "", "runs": sorted(places.values())}]


def _run_entry(run: Run) -> dict[str, Any]:
    final, summary = final_of(run) or Final("", {}, ""), summarise(run)
    ended = {"state": summary.state.value, "sentence": summary.sentence}
    return {"recipe": run.arm_index, "pair": run.pair, **ended, **final._asdict()}


def _has_failed(run: Run) -> bool:
    """Whether it failed or was stopped, perhaps before its first epoch."""
    return summarise(run).state in (RunState.FAILED, RunState.STOPPED)
