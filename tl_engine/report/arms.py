"""The arms of chosen runs, and what their study asked of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.analysis.budgets import Budget, budget
from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.pooling import comparisons_of, plan_of
from tl_engine.charts.arm_style import ArmKey, ArmStyle, arm_colours
from tl_engine.metric import ACCURACY, METRICS, Metric
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunState, StudyFolder, summarise
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.observations import arm_keys, distinct_runs, observations, recipe_id
from tl_engine.runs.studies import folder_of
from tl_engine.study import Study


class Arm(NamedTuple):
    """An arm with the runs of it that were chosen, at least one: its title among the others, and
    its colour (hex) all over a page."""

    key: ArmKey
    title: str
    colour: str
    runs: list[Run]

    @property
    def recipe(self) -> Recipe:
        """Of all its runs."""
        return self.runs[0].recipe

    @property
    def style(self) -> ArmStyle:
        """How charts draw it."""
        return ArmStyle(self.title, self.colour)

    @property
    def finished(self) -> dict[int, Run]:
        """Its finished runs by the number of their pair, in that order."""
        runs = sorted(self.runs, key=lambda run: run.pair)
        return {run.pair: run for run in runs if summarise(run).state is RunState.FINISHED}


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """The runs by arm: studies in the order in which they were chosen, arms as they stand in their
    study. Each has a title of its own: its name, where two share it with their studies' titles, and
    where they share those, ids."""
    by_key: dict[ArmKey, list[Run]] = {}
    runs = distinct_runs(runs)
    keys = arm_keys(runs)
    studies = {study: n for n, study in enumerate(dict.fromkeys(run.study.id for run in runs))}
    for run in sorted(runs, key=lambda run: (studies[run.study.id], run.arm_index)):
        by_key.setdefault(keys[run.id], []).append(run)
    titles, colours = _titles(by_key), arm_colours(by_key)
    return [Arm(key, titles[key], colours[key], of_arm) for key, of_arm in by_key.items()]


def _titles(by_key: dict[ArmKey, list[Run]]) -> dict[ArmKey, str]:
    joined = {key: _joined_names(runs) for key, runs in by_key.items()}
    names = Counter(joined.values())
    if len(names) == len(joined):
        return joined
    studies = {key: of_arm[0].study.title for key, of_arm in by_key.items()}
    long = Counter((name, title) for (_, name), title in studies.items())
    return {
        (study, name): _title((study, name), title, names[name], long[name, title])
        for (study, name), title in studies.items()
    }


def _title(key: ArmKey, study_title: str, same_name: int, same_titles: int) -> str:
    """What tells an arm from others, given how many have its name, and how many of these stand in a
    study of that title."""
    study, name = key
    if same_name == 1:
        return name
    more = f", {study}" if same_name > 1 and same_titles > 1 else ""
    return f"{name} ({study_title}{more})"


def _joined_names(runs: Sequence[Run]) -> str:
    """All names of an arm, for studies may call the same recipe differently."""
    return " / ".join(dict.fromkeys(run.arm for run in runs))


def evidence_of_arms(arms: Sequence[Arm]) -> Evidence:
    """The evidence of the store in which the arms' runs stand."""
    return of_store(arms[0].runs[0].study.path.parent)


def finished(arms: Sequence[Arm], scored: pd.DataFrame) -> pd.DataFrame:
    """Of the scores (rows of `score_table`) those of the arms' finished runs: a run on its way has
    no final score."""
    done = [run.id for arm in arms for run in arm.finished.values()]
    return scored[scored["run"].isin(done)].dropna(subset="final")


def budgets_of(arms: Sequence[Arm], history: pd.DataFrame) -> list[Budget]:
    """What a finished run of each arm costs, from the history of all their runs."""
    rows = history.groupby("run", sort=False).indices
    done = [np.concatenate([[], *(rows[run.id] for run in arm.finished.values())]) for arm in arms]
    return [
        budget(arm.recipe, history.iloc[places.astype(int)])
        for arm, places in zip(arms, done, strict=True)
    ]


def why_none(arm: Arm) -> str:
    """Why there can be no verdict on an arm: runs of it are damaged, or left out by whoever chose.
    Empty where there can be one."""
    chosen = set(observations(arm.runs).values())
    for folder in {run.study.id: folder_of(run) for run in arm.runs}.values():
        left_out = _left_out(arm, folder, chosen)
        if any(summarise(run).state is RunState.DAMAGED for run in left_out):
            return f"A run of {folder.title} is damaged: restart it for a verdict (see Overview)."
        if left_out:
            return (
                f"Some runs of {folder.title} are left out, and whoever chose may have known them: "
                "for a verdict, choose whole studies."
            )
    return ""


def _left_out(arm: Arm, folder: StudyFolder, chosen: Set[tuple[str, int, int]]) -> list[Run]:
    """The runs of an arm in one of its studies that are none of the chosen observations."""
    names = {(run.study.id, run.arm) for run in arm.runs}
    of_arm = [run for run in folder.runs() if (folder.id, run.arm) in names]
    places = observations(of_arm)
    return [run for run in of_arm if places[run.id] not in chosen]


class Question(NamedTuple):
    """What was fixed before the first run; where arms of several studies are compared, nothing.

    Attributes:
        study: None where the arms are of several studies.
        smallest: the smallest difference that matters, in the metric's column.
        is_planned: whether every comparison has exactly the pairs of its plan.
    """

    study: StudyFolder | None
    metric: Metric
    smallest: float
    is_planned: bool


def question_of(arms: Sequence[Arm], scored: pd.DataFrame) -> Question:
    """What the study of arms with these scores (rows of `score_table`) asked; of several studies
    their metric, or accuracy where they have different ones, with the largest of their smallest
    differences that matter."""
    folders = {run.study.id: folder_of(run) for arm in arms for run in arm.runs}
    if len(folders) > 1:
        return _question_of_several([folder.study for folder in folders.values()])
    (folder,) = folders.values()
    done = finished(arms, scored).groupby("arm")["seed"].nunique()
    planned = is_planned(arms, int(done.min()) if len(done) == len(arms) else 0)
    return Question(folder, METRICS[folder.study.metric], folder.study.smallest_difference, planned)


def _question_of_several(studies: Sequence[Study]) -> Question:
    names = {study.metric for study in studies}
    metric = METRICS[names.pop()] if len(names) == 1 else ACCURACY
    margins = [one.smallest_difference for one in studies if one.metric == metric.name]
    return Question(None, metric, max(margins, default=metric.smallest), False)


def is_planned(arms: Sequence[Arm], pairs: int) -> bool:
    """Whether so many pairs of the arms are all that their study was launched with, none was added
    or computed before, and no earlier study had asked: only then was their number fixed before
    anybody looked."""
    folder = folder_of(arms[0].runs[0])
    runs = [run for arm in arms for run in arm.runs]
    is_alone = all(run.study.id == folder.id for run in runs)
    is_seen = any(run.recipe_record.get("computed_before") for run in runs)
    if not is_alone or is_seen or pairs != folder.study.pairs or folder.added_pairs:
        return False
    return pairs < LEAST_PAIRS or _asked_first(arms, folder)


def _asked_first(arms: Sequence[Arm], folder: StudyFolder) -> bool:
    """Whether the planned analysis of every comparison of the arms is that of this study."""
    recipes = {recipe_id(arm.recipe) for arm in arms}
    evidence = evidence_of_arms(arms)
    asked = [
        evidence.with_seen(one) for one in evidence.questions() if len(recipes & {*one.recipes}) > 1
    ]
    numbers = tuple(folder.study.pair_numbers)
    return all(
        plan_of(comparison, asked, folder.study.metric) == numbers
        for comparison in comparisons_of(recipes)
    )
