"""The histories of several runs in one tidy frame; of a run that is over it is read once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.errors import StoreError
from tl_engine.runs.history import HISTORY_COLUMNS
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.observations import arm_keys, distinct_runs
from tl_engine.runs.run import Run, missing
from tl_engine.runs.run_state import RunState
from tl_engine.runs.summary import summarise
from tl_engine.storage.memory import FolderCache

if TYPE_CHECKING:
    import pandas as pd

MAXIMUM_RUNS = 2000
"""So many histories are cached: 10 kB for 100 epochs, where a frame takes 45 kB."""
Columns = dict[str, np.ndarray]
"""One value per epoch for each of a history's columns."""


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
            study, arm = keys[run.id]
            if (study, arm) != (run.study.id, run.arm):  # of a recipe that another study has, too
                like = columns["study"]
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
    """Empty before the first epoch."""
    frame = run.history()
    return {name: _plain(frame[name]) for name in HISTORY_COLUMNS} if len(frame) else {}


def _plain(column: pd.Series) -> np.ndarray:
    """The column's values in little memory: one value where all epochs have the same."""
    values = column.to_numpy()
    if (values == values[0]).all():
        return np.broadcast_to(values[:1].copy(), values.shape)
    return values.copy()
