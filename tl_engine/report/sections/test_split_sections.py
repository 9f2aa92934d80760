"""The test split: locked until somebody opens it, then beside validation."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.data.duplicates import NEAR, Duplicates, duplicates_of
from tl_engine.errors import DamagedError, DataUnavailable
from tl_engine.report.amounts import percent
from tl_engine.report.arms import Arm, is_planned
from tl_engine.report.section import Section, note
from tl_engine.report.sections.pair_sections import paired_table
from tl_engine.report.shown_results import Results
from tl_engine.runs import Evaluation, Run, RunStore, StudyFolder, TestSetAccess
from tl_engine.runs.evaluations import result_arrays, result_of
from tl_engine.runs.evidence import of_store
from tl_engine.runs.studies import folder_of
from tl_engine.runs.test_access import count
from tl_engine.storage.memory import FolderCache
from tl_engine.text import counted

_arrays: FolderCache[dict[str, np.ndarray]] = FolderCache(100)


class Tested(NamedTuple):
    """A run's accuracy, 0 to 1: on validation after the last epoch, on test, and on those test
    images that look like no image outside; NaN where that is not known."""

    validation: float
    test: float
    unlike: float


def shown_study(results: Results) -> StudyFolder:
    """The study whose test split is shown: that of the first arm."""
    return folder_of(results.arms[0].runs[0])


def tested(results: Results) -> list[Section]:
    """What the arms of a study score on its test split, how often somebody has looked, or that it
    is locked; raises StoreError where the log of test-set accesses is damaged."""
    study = shown_study(results)
    accesses = of_store(study.path.parent).test_accesses(study)
    arms = [arm for arm in results.arms if arm.key[0] == study.id]
    duplicates = _duplicates(arms, study) if accesses else None
    scores = {arm.title: _scores(arm.runs, duplicates) for arm in arms}
    sections = _compared(arms, scores, duplicates) if any(scores.values()) else []
    if accesses:
        return [*sections, *note("test-accesses", _times(accesses))]
    locked = Section(
        key="test-locked",
        title="The test split is locked.",
        text="Training does not look at it, and nothing here was chosen by it. Opening it measures "
        "every finished run of this study on the test images. Do so when nothing is left to "
        "choose: what is chosen by test results has no test any more. Each opening is written down "
        "and counted.",
    )
    return [*sections, locked]


def _compared(
    arms: Sequence[Arm], scores: dict[str, dict[int, Tested]], duplicates: Duplicates | None
) -> list[Section]:
    names = {"Validation": "validation", "Test": "test"}
    if duplicates and len(duplicates.near):
        names["Test, without near-duplicates"] = "unlike"
    if len(scores) == 2:
        first, second = scores.values()
        all_in = is_planned(arms, len(first.keys() & second.keys()))
        sections = [paired_table("test-pairs", names, [first, second], list(scores), all_in=all_in)]
    else:
        means = {
            arm: [str(len(runs)), *(_mean(runs, name) for name in names.values())]
            for arm, runs in scores.items()
        }
        table = pd.DataFrame.from_dict(means, orient="index", columns=["Seeds", *names])
        sections = [Section(key="test-means", table=table.rename_axis("Arm"))]
    return [*sections, *(note("test-duplicates", _likeness(duplicates)) if duplicates else ())]


def _mean(runs: dict[int, Tested], name: str) -> str:
    return percent(np.mean([getattr(run, name) for run in runs.values()]) if runs else None)


def _times(accesses: list[TestSetAccess]) -> str:
    words = f"Test opened {counted(count(accesses), 'time')}"
    if others := list(dict.fromkeys(access.study for access in accesses if access.study)):
        words += f", also in {', '.join(others)}, where runs of the same recipe and seeds stand"
    if not accesses[0].at:
        return f"{words}; once at the end of each run, by an earlier version."
    days = [f"{datetime.fromisoformat(access.at):%d %b %Y %H:%M}" for access in accesses]
    return f"{words}: " + ", ".join(dict.fromkeys((days[0], days[-1]))) + "."


def _likeness(found: Duplicates) -> str:
    return (
        f"Of {found.test:,} test images {len(found.exact):,} are, to the last pixel, among the "
        f"{found.others:,} published ones outside the test split, and {len(found.near):,} look "
        f"like one of them: a perceptual hash differs in at most {NEAR} bits of 64. Some of those "
        "are merely alike."
    )


def _duplicates(arms: Sequence[Arm], study: StudyFolder) -> Duplicates | None:
    """Of the arms' dataset, where it is on this machine and they share it."""
    names = {arm.recipe.dataset for arm in arms}
    if len(names) != 1:
        return None
    try:
        return duplicates_of(names.pop(), RunStore(study.path.parent).cache)
    except DataUnavailable:
        return None


def _scores(runs: Sequence[Run], duplicates: Duplicates | None) -> dict[int, Tested]:
    """By pair, the runs that were measured; a damaged result is none, and is measured again."""
    found = {}
    near = duplicates.near if duplicates else np.array([], np.int64)
    for run in runs:
        try:
            arrays = _arrays.get(run.path, partial(result_arrays, run, Evaluation.TEST))
            scores = result_of(run, Evaluation.TEST)
        except DamagedError:
            continue
        if arrays and scores:
            right = arrays["probabilities"].argmax(axis=1) == arrays["labels"]
            unlike = right[~np.isin(arrays["indices"], near)]
            validation = run.scores["splits"]["validation"]["accuracy"]
            found[run.pair] = Tested(validation, scores["accuracy"], float(unlike.mean()))
    return found
