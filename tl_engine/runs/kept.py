"""Values read from folders, kept in memory until the folder changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
SETTLED_NANOSECONDS = 2 * 10**9
"""A folder that changed so recently may change again within one tick of its time stamp."""
MAXIMUM = 100_000


class Kept(Generic[Value]):
    """One value per folder. Every write under runs/ renames, makes or removes a name, which
    changes its folder's time stamp; what is appended or renewed in place belongs to a run that
    is alive, and such values are not kept."""

    def __init__(self, maximum: int = MAXIMUM) -> None:
        """
        Args:
            maximum: how many values are kept; one more, and it begins anew.
        """
        self._maximum = maximum
        self._values: dict[Path, tuple[int, Value]] = {}

    def get(
        self,
        folder: Path,
        read: Callable[[], Value],
        lasts: Callable[[Value], bool] = lambda value: True,
    ) -> Value:
        """The folder's value, read afresh where the folder changed.

        Args:
            lasts: whether a value may be kept.

        Raises:
            FileNotFoundError: where the folder is gone.
        """
        stamp = folder.stat().st_mtime_ns
        known = self._values.get(folder)
        if known and known[0] == stamp:
            return known[1]
        value = read()
        if lasts(value) and time.time_ns() - stamp > SETTLED_NANOSECONDS:
            if len(self._values) >= self._maximum:
                self._values.clear()
            self._values[folder] = (stamp, value)
        return value
