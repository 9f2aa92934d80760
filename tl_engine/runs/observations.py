"""Which runs are the same observation, and the histories of several observations in one frame.

An observation is a recipe (without names) with its seeds on its images. The versions and threads of
a run make no other observation: they give the same random draw and nearly the same numbers. A
place is a recipe's id and the number of a pair, which stands for the seeds.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.run import Run, missing
from tl_engine.runs.run_state import HISTORY_COLUMNS, RunState
from tl_engine.runs.summary import final_of, summarise
from tl_engine.storage.memory import FolderCache
from tl_engine.study import Study

if TYPE_CHECKING:
    import pandas as pd

MAXIMUM_RUNS = 2000
"""So many histories are cached: 10 kB for 100 epochs, where a frame takes 45 kB."""
Columns = dict[str, np.ndarray]
"""One value per epoch for each of a history's columns."""


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


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none. Arms of
    several studies that have one recipe are one arm, the first of them (`arm_keys`), and of the
    runs of one observation one is read (`distinct_runs`). Each history comes from `Run.facts`, so
    that everything shown of a run was read and checked together.

    Raises:
        StoreError: where a run is gone, or its history is not what was written.
    """
    import pandas as pd

    runs = distinct_runs(list(runs))
    keys, parts = arm_keys(runs), []
    for run in runs:
        if columns := _history(run):
            like, (study, arm) = columns["study"], keys[run.id]
            if (study, arm) != (run.study.id, run.arm):  # of a recipe that another study has, too
                named = {"study": np.full_like(like, study), "arm": np.full_like(like, arm)}
                columns = columns | named
            parts.append(columns)
    if not parts:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.DataFrame(
        {name: np.concatenate([part[name] for part in parts]) for name in HISTORY_COLUMNS}
    )


def split_sound(runs: Iterable[Run]) -> tuple[list[Run], list[tuple[Run, str]]]:
    """The runs that can be compared, and those that cannot be read, each with the sentence about
    it. `joined_history` takes the former."""
    sound, damaged = [], []
    for run in runs:
        try:
            summary = summarise(run)
            if summary.state is RunState.DAMAGED:
                raise StoreError(summary.sentence)
            _history(run)  # that of a running run is not part of its summary
        except StoreError as error:
            damaged.append((run, str(error)))
        else:
            sound.append(run)
    return sound, damaged


_cached: FolderCache[Columns] = FolderCache(MAXIMUM_RUNS, ("recipe.json", *FACT_FILES))


def _history(run: Run) -> Columns:
    try:
        return _cached.get(run.path, lambda: _columns(run), lambda _: summarise(run).state.is_over)
    except FileNotFoundError:
        raise missing(run) from None


def _columns(run: Run) -> Columns:
    """Empty before the first epoch; one value in memory where all epochs have the same."""
    frame, columns = run.history(), {}
    for name in HISTORY_COLUMNS if len(frame) else ():
        values = frame[name].to_numpy()
        is_constant = (values == values[0]).all()
        columns[name] = (
            np.broadcast_to(values[:1].copy(), values.shape) if is_constant else values.copy()
        )
    return columns


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
