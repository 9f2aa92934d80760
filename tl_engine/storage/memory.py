"""Values read from folders, kept in memory until the folder or the files they came from change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
SETTLED_NANOSECONDS = 2 * 10**9
"""A folder that changed so recently may change again within one tick of its time stamp."""
MAXIMUM = 100_000
Stamp = tuple[int, ...]
"""When the folder and each file changed last, in nanoseconds; 0 for what is not there."""


class Kept(Generic[Value]):
    """One value per folder. Every write under runs/ renames, makes or removes a name, which
    changes its folder's time stamp; what is appended or renewed in place belongs to a run that
    is alive, and such values are not kept. What others change in place shows in the files' own
    stamps, which nobody can set back (ctime)."""

    def __init__(self, maximum: int = MAXIMUM, files: Sequence[str] = ()) -> None:
        """
        Args:
            maximum: how many values are kept; one more, and it begins anew.
            files: names of those that a value is read from.
        """
        self._maximum = maximum
        self._files = files
        self._values: dict[Path, tuple[Stamp, Value]] = {}

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
        stamp = self._stamp(folder)
        known = self._values.get(folder)
        if known and known[0] == stamp:
            return known[1]
        value = read()
        settled = time.time_ns() - max(stamp) > SETTLED_NANOSECONDS
        if settled and lasts(value) and self._stamp(folder) == stamp:
            if len(self._values) >= self._maximum:
                self._values.clear()
            self._values[folder] = (stamp, value)
        return value

    def _stamp(self, folder: Path) -> Stamp:
        try:
            changed = folder.stat().st_mtime_ns
        except FileNotFoundError:
            raise
        except OSError:
            changed = 0  # `read` says why
        return changed, *(_changed(f"{folder}/{name}") for name in self._files)


def _changed(path: str) -> int:
    try:
        return os.stat(path).st_ctime_ns
    except OSError:
        return 0
