"""Leases: at most one process trains a run, drains a queue or measures, and readers see whether.

What is held has the name of a file, such as `runs/worker.lock`. Another kind of lease, such as one
on storage that several machines share, is a class of its own file; `locks.lease_of` chooses it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Holder:
    """The process that holds a lease, as a reader sees it.

    Attributes:
        until: when the lease ends unless it is renewed, in seconds since 1970; None where it lasts
            as long as the process lives.
        token: of its holding; empty where the kind of lease does not show it to readers.
    """

    until: float | None = None
    token: str = ""


@dataclass(frozen=True)
class Holding:
    """A lease that this process holds. As a context manager, it is released after the block.

    Attributes:
        release: gives it up.
        handover: text with which a process that is started now takes it over (`Lease.adopt`).
        descriptors: of files that such a process has to inherit.
        token: 32 hex digits, random for each holding. What the holder commits carries it.
    """

    release: Callable[[], None]
    handover: str = ""
    descriptors: tuple[int, ...] = ()
    token: str = field(default_factory=lambda: secrets.token_hex(16))

    def __enter__(self) -> Holding:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


class Lease(Protocol):
    """The right to do one thing, which at most one process has at a time."""

    def holder(self) -> Holder | None:
        """The process that took it last and did not release it, found without waiting; None where
        there is none. Raises DamagedError where that cannot be read."""

    def take(self, *, wait: bool = False) -> Holding | None:
        """Take it for this process; None where another process holds it, unless it is to wait.

        Raises:
            DamagedError: where what lies at its path is no file that this account may open.
        """

    def adopt(self, handover: str) -> Holding:
        """Go on with the holding of the process that started this one, given its `handover`."""


def is_held(lease: Lease) -> bool:
    """Whether a process holds it now; errors as those of `Lease.holder`."""
    holder = lease.holder()
    return holder is not None and (holder.until is None or time.time() < holder.until)


@contextmanager
def hold(lease: Lease, *, wait: bool = False, handover: str = "") -> Iterator[Holding | None]:
    """Hold it for the block, which gets None where another process holds it.

    Args:
        wait: wait until nobody holds it, instead.
        handover: with which this process goes on with a holding, instead of taking it.
    """
    holding = lease.adopt(handover) if handover else lease.take(wait=wait)
    with holding or nullcontext():
        yield holding
