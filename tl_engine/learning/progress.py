"""How far a run is: sees a stop after every batch, and reports now and then how much is left."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from tl_engine.runs import Stopped

REPORT_SECONDS = 0.5


class Listener(Protocol):
    """What progress is reported to: a run that is trained, or an evaluation of finished runs."""

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked it to stop."""

    def report(self, progress: dict[str, Any]) -> None:
        """Record how far it is."""


@dataclass
class Progress:
    """Counts the work of a run, or of an evaluation, and reports it.

    Attributes:
        total, seen, skipped: work in forward passes of one image: all of it, done by this process,
            and not to be done by it.
        started: when this process began to train, on the performance counter.
    """

    listener: Listener
    total: float = 1.0
    seen: float = 0.0
    skipped: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    where: dict[str, Any] = field(default_factory=dict)
    _reported: float = 0.0

    def start(self, skipped: float = 0.0) -> None:
        """Training begins, where so much work was done before."""
        self.started, self.skipped = time.perf_counter(), skipped

    def stage(self, sentence: str, **where: Any) -> None:
        """Enter a stage, and report it at once."""
        self.where = {"stage": sentence, **where}
        self._report()

    def advance(self, images: float = 0.0) -> None:
        """Count work done, in forward passes of one image.

        Raises:
            Stopped: if somebody asked for it.
        """
        if self.listener.stop_requested:
            raise Stopped
        self.seen += images
        if time.perf_counter() - self._reported > REPORT_SECONDS:
            self._report()

    def _report(self) -> None:
        self._reported = time.perf_counter()
        spent = self._reported - self.started
        done = min((self.skipped + self.seen) / self.total, 1.0)
        fresh = self.seen / self.total
        left = spent / fresh * (1 - done) if fresh > 0.02 else None
        self.listener.report({**self.where, "fraction": round(done, 4), "seconds_left": left})
