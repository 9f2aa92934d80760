"""The heartbeat of a process that trains a run: what it is doing, and that it still works.

Whether that process lives, only the run's lock shows. The heartbeat distinguishes a living process
that works from one that hangs. Its time is the machine's monotonic clock since its boot, so that a
wall clock that jumps or a suspended laptop changes nothing.
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

from tl_engine.errors import StoreError
from tl_engine.runs.layout import records_in
from tl_engine.storage import atomic, record_files

FILE, BYTES = "pulse", 1024
"""The name that stores of format 3 have; the size is fixed, so that a full disk allows writing."""
BEAT_SECONDS = 1.0
SILENT_SECONDS = 20.0
"""After so long without a heartbeat a process is "not responding". At nice 10 beside busy cores the
longest pause seen between two heartbeats was under 2 s."""


class Heartbeat(NamedTuple):
    """The last heartbeat of a process.

    Attributes:
        progress: stage, phase, epoch, fraction, seconds_left; paused (a sentence) while it waits.
        age: seconds since then; None where it was written on another machine or before a reboot.
        pid, started: the process, and when it started (seconds since 1970).
        spent: seconds of all the run's processes up to now; None where that was not counted.
    """

    progress: dict[str, Any]
    age: float | None
    pid: int
    started: float
    spent: float | None = None

    @property
    def is_silent(self) -> bool:
        """Whether a living process should have sent another one by now."""
        return self.age is not None and self.age > SILENT_SECONDS


class HeartbeatWriter:
    """Writes the heartbeat of this process at every report of progress, and every second."""

    def __init__(self, folder: Path, before: float | None = 0.0) -> None:
        """Of a process before which others spent `before` seconds; None where that is unknown."""
        self._path = folder / FILE
        self.before, self._began = before, time.monotonic()
        self._progress: dict[str, Any] = {}  # see `Heartbeat`
        self._started = psutil.Process().create_time()
        self._lock = threading.Lock()

    @property
    def spent(self) -> float | None:
        """Seconds of this process and those before it."""
        if self.before is None:
            return None
        return round(self.before + time.monotonic() - self._began, 3)

    def report(self, progress: dict[str, Any]) -> None:
        """Tell what the process is doing; see `Heartbeat.progress`."""
        self._progress = progress
        self._beat()

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Write a heartbeat every second while the block runs."""
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
        # A heartbeat must not end the process: the next commit deals with a disk that refuses.
        with self._lock, contextlib.suppress(OSError):
            atomic.overwrite(self._path, text)


def read(folder: Path) -> Heartbeat | None:
    """The last heartbeat; None where there is none that can be read."""
    for _ in range(3):  # one that is being written may be read half
        try:
            value = records_in(folder).read(FILE)
        except StoreError:
            time.sleep(0.002)
            continue
        if not value:
            return None
        same = value["boot"] == _boot()
        age = max(time.monotonic() - value["beat"], 0.0) if same else None
        return Heartbeat(value["progress"], age, value["pid"], value["started"], value.get("spent"))
    return None


@lru_cache(maxsize=1)
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return f"{psutil.boot_time():.0f}"
