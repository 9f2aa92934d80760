"""The evidence in a store: every observation that its studies, deleted ones included, ever made."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from tl_engine.analysis.pooling import Asked, Observed, Place
from tl_engine.metric import ACCURACY
from tl_engine.recipe import Recipe
from tl_engine.runs import ledger, test_access
from tl_engine.runs.observations import recipe_id, recipe_ids
from tl_engine.runs.run import Run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.studies import StudyFolder, StudyList
from tl_engine.runs.summary import final_of, summarise, utc
from tl_engine.runs.test_access import TestSetAccess
from tl_engine.storage import reading
from tl_engine.study import Study


class Evidence:
    """The evidence in a store, as its studies stood when this was made. Runs are read only where
    their recipe is asked for.

    Attributes:
        is_damaged: the ledger of deleted studies is damaged; then every run counts as seen.
        final: `final_of` a run, read once.
    """

    def __init__(self, store: StudyList) -> None:
        self._folders = {folder.id: folder for folder in store.studies()}
        lines, self.is_damaged = ledger.read(store.root)
        # A process that died after writing the line and before deleting the study left both.
        gone = (line for line in lines if not reading.exists(store.root / line["study"]))
        self._deleted = [ledger.with_recipe_ids(line) for line in gone]
        self._runs_of = lru_cache(maxsize=None)(lambda study: self._folders[study].runs())
        self.final = lru_cache(maxsize=None)(final_of)

    def title(self, study_id: str) -> str:
        """What people call a study, a deleted one too; empty for one that never was."""
        if folder := self._folders.get(study_id):
            return folder.title
        return next((str(line["title"]) for line in self._deleted if line["study"] == study_id), "")

    def recipes(self) -> dict[str, Recipe]:
        """By id, every recipe of any study that can be read."""
        deleted = chain.from_iterable(map(ledger.recipes_of, self._deleted))
        standing = (arm.recipe for folder in self._folders.values() for arm in folder.study.arms)
        return {recipe_id(recipe): recipe for recipe in (*deleted, *standing) if recipe}

    def questions(self) -> Iterator[Asked]:
        """Every study as a question. Of studies that were not deleted, `computed_before` is empty:
        see `with_seen`."""
        for line in self._deleted:
            created = utc(datetime.fromisoformat(line["created"]))
            pairs, before = tuple(line["pairs"]), frozenset(line["computed_before"])
            yield Asked(line["study"], created, line["ids"], pairs, line["metric"], before)
        for folder in self._folders.values():
            created, ids = utc(folder.created), recipe_ids(folder.study)
            pairs = tuple(folder.study.pair_numbers)
            yield Asked(folder.id, created, ids, pairs, folder.study.metric, frozenset())

    def with_seen(self, question: Asked) -> Asked:
        """The same question with those of its runs that had been computed when it was created."""
        folder = self._folders.get(question.study)
        if folder is None:
            return question
        if self.is_damaged:
            every = {(recipe, pair) for recipe in question.recipes for pair in question.pairs}
            return question._replace(computed_before=frozenset(every))
        return question._replace(computed_before=frozenset(self._seen_by(folder)))

    def observed(self, recipes: Iterable[str], metric: str) -> list[Observed]:
        """Every finished run of these recipes, deleted ones too, with its score after the last
        epoch."""
        wanted = set(recipes)
        found = [
            Observed(run["recipe"], run["pair"], run["ended"], run["study"], score, run["data"])
            for run in self.deleted(wanted)
            if (score := run["scores"].get(metric)) is not None
        ]
        for run, recipe in self._runs(wanted):
            final = self.final(run)
            if final and final.scores.get(metric) is not None:
                place = (recipe, run.pair, final.ended, run.study.id)
                found.append(Observed(*place, final.scores[metric], final.data))
        return found

    def standing(self, recipe: str) -> Iterator[tuple[int, Run | None]]:
        """(pair, run) of every run of a recipe that a study planned or somebody added; None where
        its folder is gone."""
        for folder in self._folders.values():
            for arm, other in enumerate(recipe_ids(folder.study)):
                if other == recipe:
                    yield from runs_of_arm(folder, arm, self._runs_of(folder.id))

    def deleted(self, recipes: set[str]) -> Iterator[dict[str, Any]]:
        """The ledger's entries of the deleted runs of these recipes (see `layout.DeletedRun`), with
        the id of their study as `study`."""
        for line in self._deleted:
            for run in line["runs"]:
                if run["recipe"] in recipes:
                    yield {**run, "study": line["study"]}

    def computed(self, recipes: Iterable[str]) -> set[Place]:
        """Of these recipes, every (recipe, pair) of which an epoch was ever committed."""
        wanted = set(recipes)
        found = {(run["recipe"], run["pair"]) for run in self.deleted(wanted)}
        return found | {(recipe, run.pair) for run, recipe in self._runs(wanted) if has_begun(run)}

    def seen_runs(self, study: Study) -> set[Place]:
        """Those runs of a new study that were computed before."""
        ids = set(recipe_ids(study))
        places = {(recipe, pair) for recipe in ids for pair in study.pair_numbers}
        return places if self.is_damaged else places & self.computed(ids)

    def fresh_pair(self, study: Study) -> int:
        """The first pair above all that any study ever used with one of its recipes."""
        ids = set(recipe_ids(study))
        used = [run["pair"] for run in self.deleted(ids)]
        for question in self.questions():
            if ids & set(question.recipes):
                used += question.pairs
        used += [run.pair for run, _ in self._runs(ids)]
        return max(used, default=0) + 1

    def pairs_to_add(self, study: StudyFolder, new: int) -> int:
        """How many pairs to add to a study so that `new` of them have a run that was never
        computed: pairs are numbered on, and some may have been computed by other studies."""
        ids = set(recipe_ids(study.study))
        first = study.study.pair_numbers.stop + study.added_pairs
        computed, added = self.computed(ids), 0
        while new > 0:
            new -= any((recipe, first + added) not in computed for recipe in ids)
            added += 1
        return added

    def test_accesses(self, study: StudyFolder) -> list[TestSetAccess]:
        """The accesses to the test set with a study's evidence; see `looks`."""
        return self.looks({(recipe_id(run.recipe), run.pair) for run in study.runs()}, study)

    def looks(self, places: set[Place], study: StudyFolder | None = None) -> list[TestSetAccess]:
        """The accesses to the test set with the runs at these places, in whatever study, oldest
        first: those of `study` as they are, those of others with their study named. DamagedError
        for a log that is not what was written."""
        found, own = (test_access.read(study), study.id) if study else ([], "")
        found += self._looks_of_deleted(places)
        ids = {recipe for recipe, _ in places}
        for folder in self._folders.values():
            if folder.id != own and ids & set(recipe_ids(folder.study)):
                found += self._looks_of(folder, places)
        return sorted(found, key=lambda access: access.at)

    def _looks_of_deleted(self, places: set[Place]) -> Iterator[TestSetAccess]:
        for line in self._deleted:
            for access in line["openings"]:
                if places & set(access["runs"]):
                    yield TestSetAccess(1, access["at"], (), str(line["title"]))

    def _looks_of(self, folder: StudyFolder, places: set[Place]) -> Iterator[TestSetAccess]:
        arms, runs = recipe_ids(folder.study), self._runs_of(folder.id)
        place_of = {run.path.name: (arms[run.arm_index], run.pair) for run in runs}
        for access in test_access.read(folder):
            if places & {place_of.get(name) for name in access.runs}:
                yield access._replace(runs=(), study=folder.title, number=1)

    def _runs(self, recipes: set[str]) -> Iterator[tuple[Run, str]]:
        """The runs of these recipes that were not deleted, each with its recipe's id."""
        for folder in self._folders.values():
            ids = recipe_ids(folder.study)
            if recipes & set(ids):
                for run in self._runs_of(folder.id):
                    if ids[run.arm_index] in recipes:
                        yield run, ids[run.arm_index]

    def _seen_by(self, folder: StudyFolder) -> Iterator[Place]:
        """The runs of a study that had been computed when it was created. Of those that do not say
        so (an earlier version wrote them), the ones that had ended elsewhere before."""
        ids, unnoted = recipe_ids(folder.study), []
        for run in folder.runs():
            place, noted = (ids[run.arm_index], run.pair), summarise(run).computed_before
            if noted is None:
                unnoted.append(place)
            elif noted:
                yield place
        if unnoted:
            yield from self._ended_before(folder) & set(unnoted)

    def _ended_before(self, folder: StudyFolder) -> set[Place]:
        """The runs of a study's recipes that had ended in others when it was created."""
        created = utc(folder.created)
        return {
            (run.recipe, run.pair)
            for run in self.observed(recipe_ids(folder.study), ACCURACY.name)
            if run.study != folder.id and run.ended < created
        }


def of_store(root: Path) -> Evidence:
    """The evidence of the store in a folder."""
    return Evidence(StudyList(root))


def runs_of_arm(
    folder: StudyFolder, arm: int, runs: Iterable[Run]
) -> Iterator[tuple[int, Run | None]]:
    """(pair, run) of every run of an arm that its study planned or somebody added, given the runs
    of the study; None where its folder is gone."""
    of_arm = {run.pair: run for run in runs if run.arm_index == arm}
    for pair in sorted({*folder.study.pair_numbers, *of_arm}):
        yield pair, of_arm.get(pair)


def has_begun(run: Run) -> bool:
    """Whether an epoch was ever committed; a damaged run counts as seen: it may have been."""
    summary = summarise(run)
    return bool(summary.accuracies) or summary.state is RunState.DAMAGED
