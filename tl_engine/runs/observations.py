"""Which runs are the same observation: a recipe (without names) with its seeds on its images.

The versions and threads of a run make no other observation: they give the same random draw and
nearly the same numbers. A place is a recipe's id and the number of a pair, which stands for the
seeds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache

from tl_engine.recipe import Recipe
from tl_engine.runs.run import Run
from tl_engine.runs.summary import final_of
from tl_engine.study import Study


@lru_cache(maxsize=10_000)
def recipe_id(recipe: Recipe) -> str:
    """16 hex digits of what is trained. Naming the number of all training images is the same as
    training on all images."""
    everything = recipe.snapshot.default_train if recipe.snapshot else None
    settings = {**recipe.to_dict(), "train_images": recipe.train_images or everything}
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]


def recipe_ids(study: Study) -> tuple[str, ...]:
    """Of its arms."""
    return tuple(recipe_id(arm.recipe) for arm in study.arms)


def observations(runs: Sequence[Run]) -> dict[str, tuple[str, int, int]]:
    """By run id, what identifies a run as an observation: recipe id, how many earlier arms of its
    study have that recipe, pair."""
    return {run.id: (*arm, run.pair) for run, arm in zip(runs, _arms(runs), strict=True)}


def distinct_runs(runs: Sequence[Run]) -> list[Run]:
    """The runs, each observation once: of several runs the finished one that ended first, or else
    the first given. Arms of one study stay apart."""
    best: dict[tuple[str, int, int], Run] = {}
    observed = observations(runs)
    for run in runs:
        first = best.setdefault(observed[run.id], run)
        if first is not run and _rank(run) < _rank(first):
            best[observed[run.id]] = run
    counted = {run.id for run in best.values()}
    return [run for run in runs if run.id in counted]


def arm_keys(runs: Sequence[Run]) -> dict[str, tuple[str, str]]:
    """By run id, the arm that a run counts for: (study id, arm name). Arms of several studies that
    have one recipe are one arm, the first of them."""
    keys: dict[tuple[str, int], tuple[str, str]] = {}
    pairs = zip(runs, _arms(runs), strict=True)
    return {run.id: keys.setdefault(arm, (run.study.id, run.arm)) for run, arm in pairs}


def _arms(runs: Sequence[Run]) -> list[tuple[str, int]]:
    """(recipe id, how many earlier arms of its study have that recipe) of each run."""
    arms: dict[str, list[tuple[str, int]]] = {}
    for run in runs:
        if run.study.id not in arms:
            ids = recipe_ids(run.study.study)
            arms[run.study.id] = [(one, ids[:n].count(one)) for n, one in enumerate(ids)]
    return [arms[run.study.id][run.arm_index] for run in runs]


def _rank(run: Run) -> tuple[bool, str]:
    final = final_of(run)
    return (final is None, final.ended if final else "")
