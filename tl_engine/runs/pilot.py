"""The pilot: an earlier study of the same two arms, which shows how far their pairs spread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tl_engine.metric import Metric
from tl_engine.recipe import Recipe
from tl_engine.runs.studies import StudyFolder, StudyList
from tl_engine.runs.summary import final_of

PILOT_PAIRS = 3
"""With two, a spread is a guess: its 95 % interval reaches from half of it to 32 times."""


class Pilot(NamedTuple):
    """What a study shows: how many pairs finished in both arms, and the standard deviation of their
    differences in the metric's column."""

    title: str
    pairs: int
    spread: float


def pilot_of(store: StudyList, first: Recipe, second: Recipe, metric: Metric) -> Pilot | None:
    """The study with most finished pairs of the two recipes; None where none has three."""
    found = (_of(study, first, second, metric) for study in store.studies())
    return max(filter(None, found), key=lambda pilot: pilot.pairs, default=None)


def _of(study: StudyFolder, first: Recipe, second: Recipe, metric: Metric) -> Pilot | None:
    recipes = [arm.recipe for arm in study.study.arms]
    if first == second or not {first, second} <= {*recipes}:
        return None
    first_scores = _scores(study, recipes.index(first), metric)
    second_scores = _scores(study, recipes.index(second), metric)
    pairs = first_scores.keys() & second_scores.keys()
    differences = [first_scores[pair] - second_scores[pair] for pair in pairs]
    if len(differences) < PILOT_PAIRS:
        return None
    return Pilot(study.title, len(differences), float(np.std(differences, ddof=1)))


def _scores(study: StudyFolder, arm: int, metric: Metric) -> dict[int, float]:
    """By pair, those of an arm's finished runs."""
    finals = {run.pair: final_of(run) for run in study.runs() if run.arm_index == arm}
    return {pair: final.scores[metric.name] for pair, final in finals.items() if final}
