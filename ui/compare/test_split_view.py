"""Compare's test split: locked until somebody opens it, then beside validation."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import streamlit as st

from tl_engine.analysis.paired_scores import paired_scores
from tl_engine.catalog.datasets import dataset
from tl_engine.data.duplicates import NEAR, Duplicates
from tl_engine.data.leakage import duplicates_of
from tl_engine.errors import DamagedError, DataUnavailable
from tl_engine.report.question import is_planned
from tl_engine.runs import Evaluation, Run, StudyEvaluation, StudyFolder, TestSetAccess
from tl_engine.runs.evaluation_results import result_arrays, result_of
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.test_access import count
from tl_engine.storage.memory import FolderCache
from ui import frame
from ui.arms import ShownArm
from ui.compare import evaluation_control
from ui.engine import store
from ui.words import escape, percent, table

LOCKED = (
    "**The test split is locked.** Training does not look at it, and nothing here was chosen by "
    "it. Opening it measures every finished run of this study on the test images. Do so when "
    "nothing is left to choose: what is chosen by test results has no test any more. Each opening "
    "is written down and counted."
)
GO_ON = "Go on with opening it"
COST = (
    "An opening is counted for ever, with its time, and stands beside every verdict of this study. "
    "Whatever is chosen from then on (settings, arms, when to stop) may have been chosen by the "
    "test images, and no untouched images are left to check it. Open it when nothing is left to "
    "choose."
)


class Tested(NamedTuple):
    """A run's accuracy, 0 to 1: on validation after the last epoch, on test, and on those test
    images that look like no image outside; NaN where that is not known."""

    validation: float
    test: float
    unlike: float


@frame.guarded()
def show(study: StudyFolder, arms: list[ShownArm]) -> None:
    """What the arms of a study make of its test split, or the way to open it."""
    st.subheader("Test split", anchor=False)
    accesses = Evidence(store()).test_accesses(study)
    ours = [arm for arm in arms if arm.key[0] == study.id]
    alike = _duplicates(ours) if accesses else None
    known = {arm.title: _tested(arm.runs, alike) for arm in ours}
    if any(known.values()):
        _show_scores(ours, known, alike)
    if accesses:
        st.caption(_times(accesses))
    else:
        st.markdown(LOCKED)
    label = _label(study, accesses)
    cost = "" if label == GO_ON else COST
    evaluation_control.ask(Evaluation.TEST, study.runs(), label, key="test", cost=cost)


def _label(study: StudyFolder, accesses: list[TestSetAccess]) -> str:
    """What pressing the button is: the first access, another one, or the rest of one."""
    if not accesses:
        return "Open the test split"
    if all(access.study for access in accesses):
        return "Open it for this study, too"
    named = {name for access in accesses for name in access.runs}
    missing = StudyEvaluation(study, Evaluation.TEST).missing(study.runs())
    if all(run.path.name in named for run in missing):
        return GO_ON
    return "Open it for what has finished since"


def _show_scores(
    arms: list[ShownArm], known: dict[str, dict[int, Tested]], alike: Duplicates | None
) -> None:
    kinds = {"Validation": 0, "Test": 1}
    if alike and len(alike.near):
        kinds["Test, without near-duplicates"] = 2
    if len(known) == 2:
        (first, ours), (second, theirs) = known.items()
        all_in = is_planned(arms, len(ours.keys() & theirs.keys()))
        rows = {
            name: paired_scores(
                {pair: one[place] for pair, one in ours.items()},
                {pair: one[place] for pair, one in theirs.items()},
                all_in=all_in,
            )
            for name, place in kinds.items()
        }
        evaluation_control.show_pairs(rows, first, second)
    else:
        means = {
            arm: [str(len(some)), *(percent(_mean(some, place)) for place in kinds.values())]
            for arm, some in known.items()
        }
        values = pd.DataFrame.from_dict(means, orient="index", columns=["Seeds", *kinds])
        st.markdown(table(values.rename_axis("Arm")))
    if alike:
        st.caption(_likeness(alike))


def _mean(some: dict[int, Tested], place: int) -> float | None:
    return float(np.mean([one[place] for one in some.values()])) if some else None


def _times(accesses: list[TestSetAccess]) -> str:
    times = count(accesses)
    words = f"Test opened {times} time" + ("" if times == 1 else "s")
    if others := list(dict.fromkeys(escape(one.study, 60) for one in accesses if one.study)):
        words += f", also in {', '.join(others)}, where runs of the same recipe and seeds stand"
    if not accesses[0].at:
        return f"{words}; once at the end of each run, by an earlier version."
    days = [f"{datetime.fromisoformat(access.at):%d %b %Y %H:%M}" for access in accesses]
    return f"{words}: " + ", ".join(dict.fromkeys((days[0], days[-1]))) + "."


def _likeness(alike: Duplicates) -> str:
    return (
        f"Of {alike.test:,} test images {len(alike.exact):,} are, to the last pixel, among the "
        f"{alike.others:,} published ones outside the test split, and {len(alike.near):,} look "
        f"like one of them: a perceptual hash differs in at most {NEAR} bits of 64. Some of those "
        "are merely alike."
    )


def _duplicates(arms: list[ShownArm]) -> Duplicates | None:
    """Of the arms' dataset, where it is on this machine and they share it."""
    names = {arm.runs[0].recipe.dataset for arm in arms if arm.runs}
    if len(names) != 1:
        return None
    name = names.pop()
    try:
        with st.spinner(f"Looking for near-duplicates in {escape(dataset(name).title)} …"):
            return duplicates_of(name, store().cache)
    except DataUnavailable:
        return None


def _tested(runs: list[Run], alike: Duplicates | None) -> dict[int, Tested]:
    """By pair, the runs that were asked; a damaged answer is none, and is asked for again."""
    found = {}
    near = alike.near if alike else np.array([], np.int64)
    for run in runs:
        try:
            arrays = _kept.get(run.path, partial(result_arrays, run, Evaluation.TEST))
            said = result_of(run, Evaluation.TEST)
        except DamagedError:
            continue
        if arrays and said:
            right = arrays["probabilities"].argmax(axis=1) == arrays["labels"]
            unlike = right[~np.isin(arrays["indices"], near)]
            validation = run.scores["splits"]["validation"]["accuracy"]
            found[run.pair] = Tested(validation, said["accuracy"], float(unlike.mean()))
    return found


_kept: FolderCache[dict[str, np.ndarray] | None] = FolderCache(100)
