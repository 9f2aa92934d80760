"""Evidence in a store: which runs are the same observation, wherever they stand.

A run is an observation of its recipe (without names) with its seeds on its images. What arithmetic
it was computed with makes no other observation: other threads or versions give the same draw and
nearly the same numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_engine.analysis.pooling import Asked, Observed, Place
from tl_engine.errors import RecipeError, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs import ledger, test_access
from tl_engine.runs.run import Run, RunState
from tl_engine.runs.summary import summarise
from tl_engine.runs.test_access import TestSetAccess
from tl_engine.storage import record_files
from tl_engine.storage.memory import Kept
from tl_engine.study import Study

if TYPE_CHECKING:
    from tl_engine.runs.store import RunStore
    from tl_engine.runs.study_folder import StudyFolder

METRICS = ("val_accuracy", "val_loss")


class Final(NamedTuple):
    """What a finished run is as evidence: when it ended (UTC), scores by metric, fingerprint of its
    images (empty where it was not noted)."""

    ended: str
    scores: dict[str, float]
    data: str


@lru_cache(maxsize=10_000)
def recipe_id(recipe: Recipe) -> str:
    """16 hex digits of what is trained; all images, said or meant, are the same subset."""
    known = {**recipe.to_dict(), "train_images": recipe.training_images}
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]


def evidence_key(run: Run) -> str:
    """The sha256 of a run as it was computed: recipe without names, seeds, images, and arithmetic
    (threads, versions, devices). Runs of one key have the same bits."""
    met = [{**one, "fingerprint": str(one.get("fingerprint", ""))} for one in run.environments]
    known = {
        "recipe": recipe_id(run.recipe),
        "seeds": run.asked["seeds"],
        "threads": run.asked.get("threads"),
        "versions": run.asked.get("versions"),
        "met": met,
    }
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()


class Evidence:
    """What a store holds as evidence, deleted studies included; read in one pass over the studies.
    Runs are read only where their recipe is asked for."""

    def __init__(self, store: RunStore) -> None:
        self._folders = {folder.id: folder for folder in store.studies()}
        known = ledger.read(store.root)
        self._is_damaged = known.is_damaged
        # A line is written before its study is deleted: whoever died in between left both.
        there = (one for one in known.lines if not record_files.is_there(store.root / one["study"]))
        self._deleted = [_with_ids(one) for one in there]
        self._finals: dict[Path, Final | None] = {}
        self._runs_of = lru_cache(maxsize=None)(lambda study: self._folders[study].runs())

    @property
    def is_damaged(self) -> bool:
        """Whether the ledger of deleted studies is damaged: then everything counts as seen."""
        return self._is_damaged

    def title(self, study_id: str) -> str:
        """What people call a study, a deleted one too."""
        if folder := self._folders.get(study_id):
            return folder.title
        return next((str(one["title"]) for one in self._deleted if one["study"] == study_id), "")

    def recipes(self) -> dict[str, Recipe]:
        """By id, every recipe that was ever asked and can be read."""
        found = {}
        for line in self._deleted:
            for told in line["recipes"]:
                with_id = _recipe(json.dumps(told))
                if with_id:
                    found[recipe_id(with_id)] = with_id
        for folder in self._folders.values():
            for arm in folder.study.arms:
                found[recipe_id(arm.recipe)] = arm.recipe
        return found

    def connected(self, recipes: Iterable[str]) -> list[StudyFolder]:
        """The studies that share two recipes with these, directly or through others."""
        known, folders = set(recipes), []
        left = {folder.id: set(_ids(folder.study)) for folder in self._folders.values()}
        joined = True
        while joined:
            joined = False
            for study, theirs in list(left.items()):
                if len(known & theirs) > 1:
                    known |= theirs
                    folders.append(self._folders[study])
                    del left[study]
                    joined = True
        return folders

    def asked(self) -> list[Asked]:
        """Every study that was ever asked. Where its runs do not say what had been computed before
        (an earlier version), what ended before it was created is."""
        return [_asked_of_line(line) for line in self._deleted] + [
            Asked(
                folder.id,
                _utc(folder.created),
                _ids(folder.study),
                tuple(folder.study.pair_numbers),
                folder.study.metric,
                frozenset(),
            )
            for folder in self._folders.values()
        ]

    def with_seen(self, asked: Asked) -> Asked:
        """The same with those of its runs that had been computed when it was asked."""
        folder = self._folders.get(asked.study)
        if folder is None:
            return asked
        if self.is_damaged:
            every = {(recipe, pair) for recipe in asked.recipes for pair in asked.pairs}
            return asked._replace(computed_before=frozenset(every))
        return asked._replace(computed_before=frozenset(self._seen_by(folder)))

    def observed(self, recipes: Iterable[str], metric: str) -> list[Observed]:
        """Every finished run of these recipes, deleted ones too, with its last score."""
        wanted = set(recipes)
        found = [
            Observed(one["recipe"], one["pair"], one["ended"], line["study"], score, one["data"])
            for line in self._deleted
            for one in line["runs"]
            if one["recipe"] in wanted and (score := one["scores"].get(metric)) is not None
        ]
        for run, recipe in self._runs(wanted):
            known = self.final(run)
            if known and known.scores.get(metric) is not None:
                place = (recipe, run.pair, known.ended, run.study.id)
                found.append(Observed(*place, known.scores[metric], known.data))
        return found

    def final(self, run: Run) -> Final | None:
        """`final_of`, asked once of each run."""
        if run.path not in self._finals:
            self._finals[run.path] = final_of(run)
        return self._finals[run.path]

    def standing(self, recipe: str) -> Iterable[tuple[int, Run | None]]:
        """(pair, run) of every run of a recipe that a study planned or somebody added; None where
        its folder is gone."""
        for folder in self._folders.values():
            ids = _ids(folder.study)
            if recipe not in ids:
                continue
            there = self._runs_of(folder.id)
            for arm in (arm for arm, one in enumerate(ids) if one == recipe):
                ours = {run.pair: run for run in there if run.arm_index == arm}
                for pair in sorted({*folder.study.pair_numbers, *ours}):
                    yield pair, ours.get(pair)

    def deleted(self, recipe: str) -> Iterable[dict[str, Any]]:
        """What the ledger tells of the deleted runs of a recipe (`shapes.LeftRun`), with the id of
        their study."""
        for line in self._deleted:
            for run in line["runs"]:
                if run["recipe"] == recipe:
                    yield {**run, "study": line["study"]}

    def computed(self, recipes: Iterable[str]) -> set[Place]:
        """Of these recipes, every (recipe, pair) of which an epoch was ever committed."""
        wanted = set(recipes)
        found = {
            (one["recipe"], one["pair"])
            for line in self._deleted
            for one in line["runs"]
            if one["recipe"] in wanted
        }
        return found | {(recipe, run.pair) for run, recipe in self._runs(wanted) if _has_begun(run)}

    def seen_runs(self, study: Study) -> set[Place]:
        """Those runs of a study that is about to be asked which were computed before."""
        ids = set(_ids(study))
        places = {(recipe, pair) for recipe in ids for pair in study.pair_numbers}
        return places if self.is_damaged else places & self.computed(ids)

    def fresh_pair(self, study: Study) -> int:
        """The first pair above all that any study ever used with one of its recipes."""
        ids = set(_ids(study))
        used = [
            one["pair"] for line in self._deleted for one in line["runs"] if one["recipe"] in ids
        ]
        used += [pair for one in self.asked() if ids & set(one.recipes) for pair in one.pairs]
        used += [run.pair for run, _ in self._runs(ids)]
        return max(used, default=0) + 1

    def pairs_to_add(self, study: StudyFolder, new: int) -> int:
        """How many pairs to add to a study so that so many of them have a run that was computed
        nowhere yet: pairs follow one another, and some may stand in other studies."""
        ids = set(_ids(study.study))
        computed, pair, added = self.computed(ids), study.study.pair_numbers.stop, 0
        pair += study.added_pairs
        while new > 0:
            new -= any((recipe, pair + added) not in computed for recipe in ids)
            added += 1
        return added

    def test_accesses(self, study: StudyFolder) -> list[TestSetAccess]:
        """Who looked at the test images with a study's evidence; see `looks`."""
        return self.looks({(recipe_id(run.recipe), run.pair) for run in study.runs()}, study)

    def looks(self, places: set[Place], study: StudyFolder | None = None) -> list[TestSetAccess]:
        """Who looked at the test images with this evidence, in whatever study, oldest first.

        Args:
            places: (recipe, pair) of its runs.
            study: whose own openings are given as they are, all others with their study named.

        Raises:
            DamagedError: for a log that is not what was written.
        """
        ids = {recipe for recipe, _ in places}
        found = test_access.read(study) if study else []
        for line in self._deleted:
            for one in line["openings"]:
                if places & set(one["runs"]):
                    found.append(TestSetAccess(1, one["at"], (), str(line["title"])))
        for folder in self._folders.values():
            if (study and folder.id == study.id) or not ids & set(_ids(folder.study)):
                continue
            for other in test_access.read(folder):
                if places & _places(folder, other.runs):
                    found.append(other._replace(runs=(), study=folder.title, number=1))
        return sorted(found, key=lambda one: one.at)

    def leaves(self, study: StudyFolder) -> dict[str, Any] | None:
        """The ledger's line of a study that is about to be deleted; None where it leaves nothing:
        no epoch was committed, no run was lost, no test image read."""
        runs = [_left_by(run) for run in study.runs() if _has_begun(run) or _is_lost(run)]
        places = {run.path.name: (run.arm_index, run.pair) for run in study.runs()}
        looked: list[dict[str, Any]] = []
        try:
            for one in test_access.read(study):
                theirs = sorted(places[name] for name in one.runs if name in places)
                looked.append({"at": one.at, "runs": theirs})
        except StoreError:
            looked.append({"at": "", "runs": sorted(places.values())})
        if not runs and not looked:
            return None
        (asked,) = (one for one in self.asked() if one.study == study.id)
        seen = self.with_seen(asked).computed_before
        before = [
            (arm, pair)
            for arm, recipe in enumerate(asked.recipes)
            for pair in asked.pairs
            if (recipe, pair) in seen
        ]
        return {
            "study": study.id,
            "title": study.title,
            "created": study.created.isoformat(),
            "recipes": [arm.recipe.to_dict() for arm in study.study.arms],
            "pairs": list(asked.pairs),
            "metric": asked.metric,
            "computed_before": before,
            "runs": runs,
            "openings": looked,
        }

    def _runs(self, recipes: set[str]) -> Iterable[tuple[Run, str]]:
        for folder in self._folders.values():
            ids = _ids(folder.study)
            if recipes & set(ids):
                for run in self._runs_of(folder.id):
                    if ids[run.arm_index] in recipes:
                        yield run, ids[run.arm_index]

    def _seen_by(self, folder: StudyFolder) -> Iterable[Place]:
        ids, untold = _ids(folder.study), []
        for run in folder.runs():
            place = (ids[run.arm_index], run.pair)
            said = _said_before(run)
            if said is None:
                untold.append(place)
            elif said:
                yield place
        if untold:
            created = _utc(folder.created)
            ended = {
                (one.recipe, one.pair)
                for one in self.observed(ids, METRICS[0])
                if one.study != folder.id and one.ended < created
            }
            yield from ended & set(untold)


def final_of(run: Run) -> Final | None:
    """A finished run as evidence; None of any other, or of one that is not what was written."""
    if not os.path.exists(
        run.path / "outcome.json"
    ):  # of those in the queue nothing is kept in memory
        return None
    try:
        if summarise(run).state is not RunState.FINISHED:
            return None
        return _finals.get(run.path, lambda: _final(run))
    except (StoreError, OSError):
        return None


def distinct_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs, each observation once: of several the finished one that ended first, else the first
    that was given. Arms of one study stay apart."""
    best: dict[tuple[str, int, int], Run] = {}
    for run, place in zip(runs, _arm_places(runs), strict=True):
        key = (*place, run.pair)
        known = best.get(key)
        if known is None or _rank(run) < _rank(known):
            best[key] = run
    counting = {run.id for run in best.values()}
    return [run for run in runs if run.id in counting]


def observations(runs: Sequence[Run]) -> dict[str, tuple[str, int, int]]:
    """By id what each run is as an observation: recipe, place among its study's arms of that
    recipe, pair."""
    places = _arm_places(runs)
    return {run.id: (*place, run.pair) for run, place in zip(runs, places, strict=True)}


def arm_keys(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """By run id the arm that it counts for, (study id, arm name): arms of several studies that have
    one recipe are one arm, the first of them."""
    keys: dict[tuple[str, int], tuple[str, str]] = {}
    found = {}
    for run, place in zip(runs, _arm_places(runs), strict=True):
        found[run.id] = keys.setdefault(place, (run.study.id, run.arm))
    return found


def _arm_places(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """(recipe, how many arms of its study have it before this one) of each run."""
    places: dict[str, list[tuple[str, int]]] = {}
    for run in runs:
        if run.study.id not in places:
            ids = _ids(run.study.study)
            places[run.study.id] = [(one, ids[:n].count(one)) for n, one in enumerate(ids)]
    return [places[run.study.id][run.arm_index] for run in runs]


def _rank(run: Run) -> tuple[bool, str]:
    known = final_of(run)
    return (known is None, known.ended if known else "")


_finals: Kept[Final] = Kept()


def _final(run: Run) -> Final:
    last = run.epochs()[-1]
    met = run.environments
    scores = {name: last[name] for name in METRICS if last.get(name) is not None}
    data = str(met[-1].get("fingerprint", "")) if met else ""
    return Final(_utc(datetime.fromisoformat(run.outcome["ended"])), scores, data)


def _utc(time: datetime) -> str:
    """A time of any zone as text that sorts."""
    return time.astimezone(UTC).isoformat()


def _left_by(run: Run) -> dict[str, Any]:
    known = final_of(run) or Final("", {}, "")
    summary = summarise(run)
    ended = {"state": summary.state.value, "sentence": summary.sentence}
    return {"recipe": run.arm_index, "pair": run.pair, **ended, **known._asdict()}


def _has_begun(run: Run) -> bool:
    """Whether an epoch was ever committed; of a damaged run nobody knows, so it counts as seen."""
    known = summarise(run)
    return bool(known.accuracies) or known.state is RunState.DAMAGED


def _is_lost(run: Run) -> bool:
    """Whether it failed or was stopped, perhaps before its first epoch."""
    return summarise(run).state in (RunState.FAILED, RunState.STOPPED)


def _said_before(run: Run) -> bool | None:
    try:
        return _saids.get(run.path, lambda: run.asked.get("computed_before"))
    except (StoreError, OSError):
        return True


_saids: Kept[bool | None] = Kept()


def _ids(study: Study) -> tuple[str, ...]:
    return tuple(recipe_id(arm.recipe) for arm in study.arms)


def _places(folder: StudyFolder, names: Iterable[str]) -> set[Place]:
    """(recipe, pair) of those of a study's runs."""
    wanted, ids = set(names), _ids(folder.study)
    return {(ids[r.arm_index], r.pair) for r in folder.runs() if r.path.name in wanted}


def _with_ids(line: dict[str, Any]) -> dict[str, Any]:
    """A line of the ledger whose places name recipes by their ids."""
    ids = [recipe_id(one) if (one := _recipe(json.dumps(told))) else "" for told in line["recipes"]]

    def named(places: Iterable[tuple[int, int]]) -> list[Place]:
        return [(ids[arm], pair) for arm, pair in places if arm < len(ids)]

    return {
        **line,
        "ids": tuple(filter(None, ids)),
        "computed_before": named(line["computed_before"]),
        "runs": [
            {**run, "recipe": ids[run["recipe"]]}
            for run in line["runs"]
            if run["recipe"] < len(ids)
        ],
        "openings": [{**one, "runs": named(one["runs"])} for one in line["openings"]],
    }


def _asked_of_line(line: dict[str, Any]) -> Asked:
    created = _utc(datetime.fromisoformat(line["created"]))
    asked = (line["study"], created, line["ids"], tuple(line["pairs"]), line["metric"])
    return Asked(*asked, frozenset(line["computed_before"]))


@lru_cache(maxsize=1000)
def _recipe(told: str) -> Recipe | None:
    try:
        return Recipe.from_dict(json.loads(told))
    except (RecipeError, ValueError, KeyError, TypeError, AttributeError):
        return None


def of_store(root: Path) -> Evidence:
    """The evidence of the store in a folder."""
    from tl_engine.runs.store import RunStore  # which asks for it in turn

    return Evidence(RunStore(root))
