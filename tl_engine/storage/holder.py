"""Who holds a lease: what a reader learns of that process, and what the process itself has."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field


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

    @property
    def is_current(self) -> bool:
        """Whether the lease has not ended yet."""
        return self.until is None or time.time() < self.until


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
