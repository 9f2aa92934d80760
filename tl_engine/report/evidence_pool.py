"""The evidence of arms in all studies of their store, deleted studies included, and what the health
check sees of their runs."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from tl_engine.analysis import health, pooling
from tl_engine.analysis.budgets import Budget, forward_equivalents, steps
from tl_engine.analysis.contrast import contrast
from tl_engine.analysis.health import FAILED, FINISHED, RunFacts
from tl_engine.analysis.lost_runs import ArmEvidence
from tl_engine.errors import StoreError
from tl_engine.metric import Metric
from tl_engine.recipe import Recipe
from tl_engine.report.arms import Arm, evidence_of_arms
from tl_engine.runs import Run, StudyFolder, summarise
from tl_engine.runs.evidence import Evidence, runs_of_arm
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.studies import folder_of
from tl_engine.runs.summary import final_of
from tl_engine.storage.memory import FolderCache

WORST_LAST = (FINISHED, FAILED, health.COMING, health.STOPPED, health.DAMAGED, health.MISSING)
"""States of runs of one pair: the first that occurs is the state of the pair."""


class EvidencePool:
    """What the studies of a store hold of the recipes of some arms.

    Attributes:
        ids: of the arms' recipes, in the order of the arms.
        others: comparisons of the family that studies decide by another metric.
    """

    def __init__(self, arms: Sequence[Arm], metric: Metric, any_budget: bool) -> None:
        self._metric, self._any_budget = metric, any_budget
        self._evidence = evidence_of_arms(arms)
        self.ids = [recipe_id(arm.recipe) for arm in arms]
        # A study that is shown may have been deleted a moment ago.
        shown_recipes = dict(zip(self.ids, (arm.recipe for arm in arms), strict=True))
        self._recipes = self._evidence.recipes() | shown_recipes
        shown = pooling.comparisons_of(self.ids)
        asked = list(self._evidence.questions())
        self._family = pooling.family_of(shown, asked, self._is_comparable)
        recipes = set[str]().union(*shown, *self._family)
        self._asked = [
            self._evidence.with_seen(one) for one in asked if len(recipes & set(one.recipes)) > 1
        ]
        self._observed = self._evidence.observed(recipes, metric.name)
        self._shown_data = _data_of_first(arms)
        self._arms: dict[tuple[str, str, str], ArmEvidence] = {}
        other_metrics = {one.metric for one in self._asked} - {metric.name}
        self.others = len(self._family) * len(other_metrics)

    def evidence(self, first: str, second: str) -> pooling.ComparisonEvidence:
        """The evidence of a comparison of two different recipes."""
        data = self._data_of(first, second)
        observed = [one for one in self._observed if one.data == data]
        return pooling.evidence_of(first, second, self._asked, observed, self._metric.name)

    def hidden(self, shown: set[pooling.Comparison]) -> list[tuple[str, str]]:
        """The comparisons among which Holm corrects that are not shown."""
        return [(one[0], one[-1]) for one in sorted(map(sorted, self._family - shown))]

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
            scores = {one.pair: one.score for one in pooling.distinct(of_recipe).values()}
            facts = _facts_in_store(title, recipe, self._evidence, data)
            classes = len(self._recipes[recipe].described_dataset.class_names)
            self._arms[key] = ArmEvidence(facts, scores, classes)
        return self._arms[key]

    def _data_of(self, first: str, second: str) -> str:
        """Fingerprint of the images on which two recipes are compared: those of the first shown run
        that finished, if they have any."""
        data = {one.data for one in self._observed if one.recipe in (first, second)}
        return self._shown_data if self._shown_data in data else max(data, default="")

    def question(self, study: StudyFolder | None, first: str, second: str) -> pooling.Asked | None:
        """What a study asked of two recipes; None where it did not ask."""
        both = frozenset((first, second))
        of_study = (one for one in self._asked if study and one.study == study.id)
        return next((one for one in of_study if one.asks(both)), None)

    def _is_comparable(self, comparison: pooling.Comparison) -> bool:
        recipes = [self._recipes.get(recipe) for recipe in sorted(comparison)]
        return None in recipes or _are_comparable(*recipes, self._any_budget)


def _data_of_first(arms: Sequence[Arm]) -> str:
    """Fingerprint of the images of the first run that finished; empty without one."""
    finals = (final_of(run) for arm in arms for run in arm.runs)
    return next((final.data for final in finals if final), "")


@lru_cache(maxsize=10_000)
def _are_comparable(first: Recipe, second: Recipe, any_budget: bool) -> bool:
    costs = [Budget(steps(one), forward_equivalents(one), math.nan) for one in (first, second)]
    return not contrast(first, second, (costs[0], costs[1])).refusal("", "", any_budget=any_budget)


def facts_of(title: str, runs: Sequence[Run]) -> dict[int, RunFacts]:
    """Of every run of an arm that its studies planned or somebody added, by pair, given a run of it
    in each study; those whose folder is gone are missing. Of several of one pair one that finished
    counts."""
    by_pair: dict[int, RunFacts] = {}
    folders = {(run.study.id, run.arm_index): folder_of(run) for run in runs}
    for (_, arm), folder in folders.items():
        for pair, run in runs_of_arm(folder, arm, folder.runs()):
            facts = _facts(title, pair, run)
            if pair not in by_pair or facts.state == FINISHED:
                by_pair[pair] = facts
    return by_pair


class _Candidate(NamedTuple):
    """One of several runs of a pair: that of the lowest rank counts (place of its state in
    WORST_LAST, whether its images are others, when it ended, study)."""

    pair: int
    rank: tuple[int, bool, str, str]
    facts: Callable[[], RunFacts]


def _facts_in_store(title: str, recipe: str, evidence: Evidence, data: str) -> dict[int, RunFacts]:
    """Of every run of a recipe in all studies of a store, deleted ones too, by pair: of several of
    one pair the finished one that counts as evidence for images of this fingerprint, else the one
    that was lost."""
    best: dict[int, _Candidate] = {}
    for run in _candidates(title, recipe, evidence, data):
        if run.pair not in best or run.rank < best[run.pair].rank:
            best[run.pair] = run
    # Of those that finished more is read only if they count.
    return {pair: best[pair].facts() for pair in sorted(best)}


def _candidates(title: str, recipe: str, evidence: Evidence, data: str) -> Iterator[_Candidate]:
    for pair, run in evidence.standing(recipe):
        facts = partial(_facts, title, pair, run)
        if run and (final := evidence.final(run)):
            rank = (WORST_LAST.index(FINISHED), final.data != data, final.ended, run.study.id)
        else:
            rank = (WORST_LAST.index(facts().state), True, "", run.study.id if run else "")
        yield _Candidate(pair, rank, facts)
    for gone in evidence.deleted({recipe}):
        state = gone["state"] if gone["state"] in WORST_LAST else health.COMING
        rank = (WORST_LAST.index(state), gone["data"] != data, gone["ended"], gone["study"])
        facts = partial(RunFacts, title, gone["pair"], state, gone["sentence"])
        yield _Candidate(gone["pair"], rank, facts)


_cached: FolderCache[RunFacts] = FolderCache(5000, ("recipe.json", *FACT_FILES))


def _facts(title: str, pair: int, run: Run | None) -> RunFacts:
    if run is None:
        return RunFacts(title, pair, health.MISSING)
    try:
        facts = _cached.get(run.path, lambda: _read(run), lambda facts: facts.state == FINISHED)
    except FileNotFoundError:
        return RunFacts(title, pair, health.MISSING)
    return facts._replace(arm=title)


def _read(run: Run) -> RunFacts:
    try:
        summary = summarise(run)
        state, sentence = summary.state.value, summary.sentence
        if state not in (FINISHED, FAILED, health.STOPPED, health.DAMAGED):
            return RunFacts("", run.pair, health.COMING)
        met = tuple(run.environments) if state == FINISHED else ()
        versions = run.recipe_record.get("versions", {})
    except StoreError as error:  # its folder went, or one of its files is not what was written
        is_there = os.path.isdir(run.path)
        return RunFacts("", run.pair, health.DAMAGED if is_there else health.MISSING, str(error))
    return RunFacts("", run.pair, state, sentence, met, versions)
