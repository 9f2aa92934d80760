"""Values read from folders, cached in memory until the folder or the files behind them change."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, TypeVar

Value = TypeVar("Value")
SETTLED_NANOSECONDS = 2 * 10**9
"""A folder that changed more recently may change again within one tick of its time stamp."""
Stamp = tuple[int, ...]
"""When the folder and each file changed last, in nanoseconds; 0 for what does not exist."""


class FolderCache(Generic[Value]):
    """One value per folder.

    Every write through `storage.atomic` renames, makes or removes a name, which changes the
    folder's time stamp. Lines that are appended and files that are overwritten in place belong to
    a run that is alive, and the values of such runs are not cached (`lasts`). A file that another
    program changed in place shows it in its own ctime, which nobody can set back.
    """

    def __init__(self, maximum: int = 100_000, files: Sequence[str] = ()) -> None:
        """Caches at most so many values (with one more, all are forgotten), read from files of
        these names."""
        self._maximum, self._files = maximum, files
        self._values: dict[Path, tuple[Stamp, Value]] = {}

    def get(
        self,
        folder: Path,
        read: Callable[[], Value],
        lasts: Callable[[Value], bool] = lambda value: True,
    ) -> Value:
        """The folder's value; `read` is called where it is not cached or the folder changed, and
        what it gives is cached where it `lasts`. Raises FileNotFoundError where the folder is
        gone."""
        stamp = self._stamp(folder)
        cached = self._values.get(folder)
        if cached and cached[0] == stamp:
            return cached[1]
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
