"""Locks that tell whether a process lives.

The kernel releases a flock when its holder dies, however it dies, so a held lock is the truth
where a stored pid is not (zombies, reuse). POSIX only: Linux, macOS, WSL.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tl_engine.errors import ClosedError, DamagedError
from tl_engine.storage import atomic

PROBE_SECONDS = 0.5
"""How long a writer tries before it believes that another one holds the lock: readers probe
with a shared lock for microseconds, and one of those must not turn a worker away."""


@contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock for the block; gives False where another process holds it.

    Args:
        wait: wait until it is free, instead.

    Raises:
        DamagedError: where what lies there is no file that this account may open.
    """
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    try:
        yield _acquire(descriptor, wait)
    finally:
        os.close(descriptor)


def take(path: Path) -> int | None:
    """Take the lock for a process that is about to be started: the descriptor to hand to it,
    which holds the lock for as long as either has it open; None where it is held."""
    descriptor = _open(path, os.O_RDWR | os.O_CREAT)
    if _acquire(descriptor, wait=False):
        return descriptor
    os.close(descriptor)
    return None


@contextmanager
def adopt(descriptor: int) -> Iterator[bool]:
    """Hold for the block a lock that the starting process took."""
    os.set_inheritable(descriptor, False)  # a process of ours that outlives us must not keep it
    try:
        yield True
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether a living process holds the lock.

    Raises:
        DamagedError: where what lies there is no file that this account may open.
    """
    try:
        descriptor = _open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


def _open(path: Path, flags: int) -> int:
    """
    Raises:
        FileNotFoundError: where there is no such file or folder.
        DamagedError: where something else lies there, or this account may not open it.
        OSError: where the disk is full or refuses to be written.
    """
    try:
        return atomic.open_file(path, flags)
    except atomic.NoFileError as error:
        raise DamagedError(path, error.what) from error
    except PermissionError as error:
        raise ClosedError(path, error.strerror or "not permitted") from error
    except NotADirectoryError as error:
        raise DamagedError(path, f"it cannot be opened ({error.strerror})") from error
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        raise DamagedError(path, f"it cannot be opened ({error.strerror})") from error


def _acquire(descriptor: int, wait: bool) -> bool:
    if wait:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return True
    deadline = time.monotonic() + PROBE_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
