"""The sign of life of the process that trains a run: where it is, and that it still moves.

Only the run's lock says whether that process lives. The heartbeat tells a living process that works
from one that hangs, so it is stamped with the machine's monotonic clock and boot: a wall
clock that jumps, a suspended laptop or another process with the same id change nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from tl_engine.errors import DamagedError, StoreError
from tl_engine.storage import atomic, record_files

FILE = "pulse"
"""The name that stores of format 3 have."""
BYTES = 1024
"""Size of the file: fixed, so that it is renewed in place on a full disk."""
BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0
"""A process that has not beaten for so long is "not responding"; at nice 10 beside full cores
the longest pause seen between two beats was under 2 s."""
BOOT = Path("/proc/sys/kernel/random/boot_id")


class Heartbeat(NamedTuple):
    """What a process said last.

    Attributes:
        progress: stage, phase, epoch, fraction, seconds_left; paused (a sentence) while it waits.
        age: seconds since the last beat; None where it was another boot's or machine's.
        pid, started: the process, and when it started (seconds since the epoch).
        spent: seconds that all processes of the folder have taken up to this beat; None where an
            earlier version did not count them.
    """

    progress: dict[str, Any]
    age: float | None
    pid: int
    started: float
    spent: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether a living process should have beaten since."""
        return self.age is not None and self.age > SILENT_SECONDS


class HeartbeatWriter:
    """Writes the heartbeat of this process: at every report of progress, and every second."""

    def __init__(self, folder: Path, before: float | None = 0.0) -> None:
        """
        Args:
            before: seconds that processes before this one took; None where nobody counted them.
        """
        self._path = folder / FILE
        self._before, self._began = before, time.monotonic()
        self._progress: dict[str, Any] = {}
        self._started = psutil.Process().create_time()
        self._lock = threading.Lock()

    @property
    def spent(self) -> float | None:
        """Seconds that this process and those before it have taken."""
        if self._before is None:
            return None
        return round(self._before + time.monotonic() - self._began, 3)

    def say(self, progress: dict[str, Any]) -> None:
        """Say where the process is."""
        self._progress = progress
        self._beat()

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Beat every second, whatever else this process does."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(BEAT_SECONDS):
                self._beat()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _beat(self) -> None:
        value = {
            "boot": _boot(),
            "beat": time.monotonic(),
            "pid": os.getpid(),
            "started": self._started,
            "spent": self.spent,
            "progress": self._progress,
        }
        text = json.dumps(record_files.with_checksum(value)).encode().ljust(BYTES)
        # A sign of life must not end the life: a disk that refuses it is met by the next commit.
        with self._lock, contextlib.suppress(OSError):
            atomic.overwrite(self._path, text)


def read(folder: Path) -> Heartbeat | None:
    """The last heartbeat; None where there is none that can be read."""
    for _ in range(3):  # a beat that is being written may be seen half
        try:
            value = record_files.read_json(folder / FILE)
        except DamagedError:
            time.sleep(0.002)
            continue
        except StoreError:
            return None
        if not value:
            return None
        same = value["boot"] == _boot()
        age = max(time.monotonic() - value["beat"], 0.0) if same else None
        return Heartbeat(value["progress"], age, value["pid"], value["started"], value.get("spent"))
    return None


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return BOOT.read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"
