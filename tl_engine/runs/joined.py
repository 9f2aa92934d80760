"""The histories of several runs in one tidy frame; of a run that is over it is read once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from tl_engine.errors import StoreError
from tl_engine.runs.history import HISTORY_COLUMNS
from tl_engine.runs.kept import Kept
from tl_engine.runs.run import Run
from tl_engine.runs.summary import summarise

if TYPE_CHECKING:
    import pandas as pd

MAXIMUM_RUNS = 2000
"""Of so many a history is kept: 50 kB for 100 epochs."""


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none.

    Raises:
        StoreError: where a run is gone, or its history is not what was written.
    """
    import pandas as pd

    frames = [frame for run in runs if not (frame := _history(run)).empty]
    if not frames:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.concat(frames, ignore_index=True)


_kept: Kept[pd.DataFrame] = Kept(MAXIMUM_RUNS)


def _history(run: Run) -> pd.DataFrame:
    try:
        return _kept.get(run.path, run.history, lambda _: summarise(run).state.is_over)
    except FileNotFoundError:
        raise StoreError(f"There is no run {run.id} any more: somebody deleted it.") from None
