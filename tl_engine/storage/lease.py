"""Leases: at most one process trains a run, drains a queue or measures, and readers see whether.

What is held has the name of a file, such as `runs/worker.lock`. Another kind of lease, such as one
on storage that several machines share, is a class of its own file; `lease_of` chooses it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Protocol

from tl_engine.storage.holder import Holder, Holding
from tl_engine.storage.locks import FlockLease


class Lease(Protocol):
    """The right to do one thing, which at most one process has at a time."""

    def holder(self) -> Holder | None:
        """The process that took it last and did not release it, found without waiting; None where
        there is none.

        Raises:
            DamagedError: where that cannot be read.
        """

    def take(self, *, wait: bool = False) -> Holding | None:
        """Take it for this process; None where another process holds it.

        Args:
            wait: wait until nobody holds it, instead.

        Raises:
            DamagedError: where what lies at its path is no file that this account may open.
        """

    def adopt(self, handover: str) -> Holding:
        """Go on with the holding of the process that started this one.

        Args:
            handover: what `Holding.handover` said there.
        """


def lease_of(path: Path) -> Lease:
    """The lease on what the path stands for."""
    return FlockLease(path)


def is_held(lease: Lease) -> bool:
    """Whether a process holds it now; errors as those of `Lease.holder`."""
    holder = lease.holder()
    return holder is not None and holder.is_current


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
