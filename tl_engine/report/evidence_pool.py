"""The evidence of arms in all studies of their store, deleted studies included."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

from tl_engine.analysis.budgets import Budget, forward_equivalents, steps
from tl_engine.analysis.contrast import contrast
from tl_engine.analysis.lost_runs import ArmEvidence
from tl_engine.analysis.pooling import (
    Asked,
    Comparison,
    ComparisonEvidence,
    comparisons_of,
    distinct,
    evidence_of,
    family_of,
    pairs_of_evidence,
)
from tl_engine.analysis.rule import Pairs
from tl_engine.catalog.datasets import dataset
from tl_engine.metric import Metric
from tl_engine.recipe import Recipe
from tl_engine.report.arms import Arm, evidence_of_arms
from tl_engine.report.run_facts import facts_in_store
from tl_engine.runs import StudyFolder
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.summary import final_of


class EvidencePool:
    """What the studies of a store hold of the recipes of some arms.

    Attributes:
        ids: of the arms' recipes, in the order of the arms.
        family: the comparisons among which Holm corrects, shown or not.
        others: comparisons of the family that studies decide by another metric.
    """

    def __init__(self, arms: Sequence[Arm], metric: Metric, any_budget: bool) -> None:
        self._metric, self._any_budget = metric, any_budget
        self._evidence = evidence_of_arms(arms)
        self.ids = [recipe_id(arm.runs[0].recipe) for arm in arms]
        # A study that is shown may have been deleted a moment ago.
        shown_recipes = dict(zip(self.ids, (arm.runs[0].recipe for arm in arms), strict=True))
        self._recipes = self._evidence.recipes() | shown_recipes
        shown = comparisons_of(self.ids)
        asked = list(self._evidence.questions())
        self.family = family_of(shown, asked, self._is_comparable)
        recipes = {recipe for comparison in shown | self.family for recipe in comparison}
        self._asked = [
            self._evidence.with_seen(one) for one in asked if len(recipes & set(one.recipes)) > 1
        ]
        self._observed = self._evidence.observed(recipes, metric.name)
        self._shown_data = _data_of(arms)
        self._arms: dict[tuple[str, str, str], ArmEvidence] = {}
        other_metrics = {one.metric for one in self._asked if one.metric != metric.name}
        self.others = len(self.family) * len(other_metrics)

    def evidence(self, first: str, second: str) -> ComparisonEvidence:
        """The evidence of a comparison of two different recipes."""
        data = self._data_of(first, second)
        observed = [one for one in self._observed if one.data == data]
        return evidence_of(first, second, self._asked, observed, self._metric.name)

    def hidden(self, shown: set[Comparison]) -> list[tuple[str, str]]:
        """The comparisons of the family that are not shown."""
        return [(one[0], one[-1]) for one in sorted(map(sorted, self.family - shown))]

    def pairs(self, first: str, second: str) -> Pairs:
        """The evidence of a comparison that is not shown, as its verdict takes it."""
        return pairs_of_evidence(self.evidence(first, second), first, second, self._metric.sign)

    def arms(
        self, recipes: tuple[str, str], titles: tuple[str, str] = ("", "")
    ) -> tuple[ArmEvidence, ArmEvidence]:
        """Both recipes of a comparison as evidence, under the titles of the arms that have them."""
        data = self._data_of(*recipes)
        first, second = (self._arm(*two, data) for two in zip(titles, recipes, strict=True))
        return first, second

    def _arm(self, title: str, recipe: str, data: str) -> ArmEvidence:
        key = title, recipe, data
        if key not in self._arms:
            of_recipe = (one for one in self._observed if (one.recipe, one.data) == (recipe, data))
            scores = {one.pair: one.score for one in distinct(of_recipe).values()}
            facts = facts_in_store(title, recipe, self._evidence, data)
            classes = len(dataset(self._recipes[recipe].dataset).class_names)
            self._arms[key] = ArmEvidence(facts, scores, classes)
        return self._arms[key]

    def _data_of(self, first: str, second: str) -> str:
        """Fingerprint of the images on which two recipes are compared: those of the shown runs, if
        they have any."""
        data = {one.data for one in self._observed if one.recipe in (first, second)}
        return self._shown_data if self._shown_data in data else max(data, default="")

    def question(self, study: StudyFolder | None, first: str, second: str) -> Asked | None:
        """What a study asked of two recipes; None where it did not ask."""
        both = frozenset((first, second))
        of_study = (one for one in self._asked if study and one.study == study.id)
        return next((one for one in of_study if one.asks(both)), None)

    def _is_comparable(self, comparison: Comparison) -> bool:
        recipes = [self._recipes.get(recipe) for recipe in sorted(comparison)]
        return None in recipes or _are_comparable(*recipes, self._any_budget)


@lru_cache(maxsize=10_000)
def _are_comparable(first: Recipe, second: Recipe, any_budget: bool) -> bool:
    costs = [Budget(steps(one), forward_equivalents(one), math.nan) for one in (first, second)]
    return not contrast(first, second, (costs[0], costs[1])).refusal("", "", any_budget=any_budget)


def _data_of(arms: Sequence[Arm]) -> str:
    """Fingerprint of the images of the first of the arms' runs that finished."""
    finals = (final_of(run) for arm in arms for run in arm.runs)
    return next((final.data for final in finals if final), "")
