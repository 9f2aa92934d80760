"""The arms of chosen runs: which runs belong together, what they are called, what they cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tl_engine.analysis.budgets import Budget, budget
from tl_engine.charts.arm_style import ArmKey, ArmStyle, arm_colours
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunState, summarise
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.observations import arm_keys, distinct_runs, observations
from tl_engine.runs.studies import folder_of

if TYPE_CHECKING:
    import pandas as pd


class Arm(NamedTuple):
    """An arm with the runs of it that were chosen.

    Attributes:
        title: what it is called among the others.
        colour: hex; that of the arm all over a page.
        runs: at least one.
    """

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
    """The runs by arm, in the order in which they were chosen, each arm with a title of its own:
    its name, where two share it with their studies' titles, and where they share those, ids."""
    by_key: dict[ArmKey, list[Run]] = {}
    runs = distinct_runs(runs)
    keys = arm_keys(runs)
    for run in sorted(runs, key=_place_among(runs)):
        by_key.setdefault(keys[run.id], []).append(run)
    titles, colours = _titles(by_key), arm_colours(by_key)
    return [Arm(key, titles[key], colours[key], of_arm) for key, of_arm in by_key.items()]


def _place_among(runs: Sequence[Run]) -> Callable[[Run], tuple[int, int]]:
    """Studies in the order in which they were chosen, arms as they stand in their study: whatever
    runs of them are left out."""
    studies = {study: n for n, study in enumerate(dict.fromkeys(run.study.id for run in runs))}
    return lambda run: (studies[run.study.id], run.arm_index)


def _titles(by_key: dict[ArmKey, list[Run]]) -> dict[ArmKey, str]:
    joined = {key: _joined_name(of_arm) for key, of_arm in by_key.items()}
    names = Counter(joined.values())
    if any(joined[key] != key[1] for key in by_key) and len(names) == len(joined):
        return joined
    studies = {key: of_arm[0].study.title for key, of_arm in by_key.items()}
    long = {key: f"{key[1]} ({studies[key]})" for key in by_key}
    counts = Counter(long.values())
    titles = {}
    for key in by_key:
        study, name = key
        title = name if names[name] == 1 else long[key]
        is_shared = names[name] > 1 and counts[title] > 1
        titles[key] = f"{name} ({studies[key]}, {study})" if is_shared else title
    return titles


def _joined_name(runs: Sequence[Run]) -> str:
    """An arm's name; where studies call the same recipe differently, all of its names."""
    return " / ".join(dict.fromkeys(run.arm for run in runs))


def evidence_of_arms(arms: Sequence[Arm]) -> Evidence:
    """The evidence of the store in which the arms' runs stand."""
    return of_store(arms[0].runs[0].study.path.parent)


def finished(arms: Sequence[Arm], scored: pd.DataFrame) -> pd.DataFrame:
    """Scores of the arms' finished runs: a run on its way has no final score.

    Args:
        scored: rows of `analysis.score_table.score_table`.
    """
    done = [run.id for arm in arms for run in arm.finished.values()]
    return scored[scored["run"].isin(done)].dropna(subset="final")


def budgets_of(arms: Sequence[Arm], history: pd.DataFrame) -> list[Budget]:
    """What a finished run of each arm costs.

    Args:
        history: of all their runs.
    """
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
    names = {(run.study.id, run.arm) for run in arm.runs}
    for folder in {run.study.id: folder_of(run) for run in arm.runs}.values():
        of_arm = [run for run in folder.runs() if (folder.id, run.arm) in names]
        places = observations(of_arm)
        left_out = [run for run in of_arm if places[run.id] not in chosen]
        if any(summarise(run).state is RunState.DAMAGED for run in left_out):
            return f"A run of {folder.title} is damaged: restart it for a verdict (see Overview)."
        if left_out:
            return (
                f"Some runs of {folder.title} are left out, and whoever chose may have known them: "
                "for a verdict, choose whole studies."
            )
    return ""
