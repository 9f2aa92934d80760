"""The histories of several runs in one tidy frame; of a run that is over it is read once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.runs.evidence import arm_keys, distinct_runs
from tl_engine.runs.history import HISTORY_COLUMNS
from tl_engine.runs.run import READ, Run, RunState
from tl_engine.runs.summary import summarise
from tl_engine.storage.memory import Kept

if TYPE_CHECKING:
    import pandas as pd

MAXIMUM_RUNS = 2000
"""Of so many a history is kept: 10 kB for 100 epochs, where a frame takes 45 kB."""
Columns = dict[str, np.ndarray]
"""One value per epoch for each of a history's columns."""


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none. Arms of
    several studies that have one recipe are one arm, the first of them, and of runs of one
    observation the one that counts is read. Each history comes from `Run.facts`, so what is shown
    of a run was read and checked together.

    Raises:
        StoreError: where a run is gone, or its history is not what was written.
    """
    import pandas as pd

    runs = distinct_runs(list(runs))
    keys, parts = arm_keys(runs), []
    for run in runs:
        if columns := _history(run):
            study, arm = keys[run.id]
            if (study, arm) != (run.study.id, run.arm):  # of a recipe that another study has, too
                named = {"study": study, "arm": arm}
                like = columns["epoch"].shape
                columns = columns | {
                    n: np.broadcast_to(np.array([v], object), like) for n, v in named.items()
                }
            parts.append(columns)
    if not parts:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.DataFrame(
        {name: np.concatenate([part[name] for part in parts]) for name in HISTORY_COLUMNS}
    )


def split_sound(runs: Iterable[Run]) -> tuple[list[Run], list[tuple[Run, str]]]:
    """The runs that can be compared, and those that cannot be read, each with the sentence about
    it; the former are those that `joined_history` takes."""
    sound, damaged = [], []
    for run in runs:
        try:
            known = summarise(run)
            if known.state is RunState.DAMAGED:
                raise StoreError(known.sentence)
            _history(run)  # of one that a process holds, too
        except StoreError as error:
            damaged.append((run, str(error)))
        else:
            sound.append(run)
    return sound, damaged


_kept: Kept[Columns] = Kept(MAXIMUM_RUNS, ("recipe.json", *READ))


def _history(run: Run) -> Columns:
    try:
        return _kept.get(run.path, lambda: _columns(run), lambda _: summarise(run).state.is_over)
    except FileNotFoundError:
        raise StoreError(f"There is no run {run.id} any more: somebody deleted it.") from None


def _columns(run: Run) -> Columns:
    """Empty before the first epoch."""
    frame = run.history()
    return {name: _plain(frame[name]) for name in HISTORY_COLUMNS} if len(frame) else {}


def _plain(column: pd.Series) -> np.ndarray:
    """The column's values in little memory: one where all epochs say the same."""
    values = column.to_numpy()
    if (values == values[0]).all():
        return np.broadcast_to(values[:1].copy(), values.shape)
    return values.copy()
