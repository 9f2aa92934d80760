"""The lease on one machine: a flock, which tells whether a process lives.

The kernel releases a flock when its holder dies, however it dies, so a held lock is the truth
where a stored pid is not (zombies, reuse). POSIX only: Linux, macOS, WSL.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tl_engine.errors import DamagedError
from tl_engine.storage import atomic, reading
from tl_engine.storage.lease import Holder, Holding, Lease

PROBE_SECONDS = 0.5
"""How long a writer tries before it believes that another one holds the lock: readers probe
with a shared lock for microseconds, and one of those must not turn a worker away."""


@dataclass(frozen=True)
class FlockLease:
    """A `Lease` that lasts as long as its holder, or a process that inherited it, lives. Readers
    see that it is held, not its token."""

    path: Path

    def holder(self) -> Holder | None:
        try:
            descriptor = _open(self.path, os.O_RDONLY)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Holder()
        else:
            return None
        finally:
            os.close(descriptor)

    def take(self, *, wait: bool = False) -> Holding | None:
        descriptor, taken = _open(self.path, os.O_RDWR | os.O_CREAT), False
        try:
            taken = _acquire(descriptor, wait)
        finally:
            if not taken:
                os.close(descriptor)
        return _holding(descriptor) if taken else None

    def adopt(self, handover: str) -> Holding:
        # A child of this process that outlives it must not go on holding the lock.
        os.set_inheritable(int(handover), False)
        return _holding(int(handover))


def lease_of(path: Path) -> Lease:
    """The lease on what the path stands for."""
    return FlockLease(path)


def _holding(descriptor: int) -> Holding:
    """The lock is held for as long as any process has the descriptor open, whose number is what a
    started process is told."""
    return Holding(partial(os.close, descriptor), str(descriptor), (descriptor,))


def _open(path: Path, flags: int) -> int:
    try:
        return atomic.open_file(path, flags)
    except (atomic.NoFileError, PermissionError) as error:
        raise reading.refused(path, error) from error
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP):  # such as a full disk
            raise
        raise DamagedError(path, f"it cannot be opened ({error.strerror})") from error


def _acquire(descriptor: int, wait: bool) -> bool:
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
