"""How far a run is: sees a stop after every batch, and reports now and then how much is left."""

from __future__ import annotations

import time
from typing import Any

from tl_engine.runs import ClaimedRun, Stopped, StudyEvaluation

REPORT_SECONDS = 0.5


class ProgressReporter:
    """Counts the work of a run, or of an evaluation, and reports it.

    Attributes:
        total, seen, skipped: work in forward passes of one image: all of it, done by this process,
            and not to be done by it.
        startup: seconds before training began.
    """

    def __init__(self, listener: ClaimedRun | StudyEvaluation, total: float = 1.0) -> None:
        """
        Args:
            listener: whose stop is looked for, and to which progress is reported.
        """
        self.total, self.seen, self.skipped = total, 0.0, 0.0
        self.startup = 0.0
        self._listener, self._stage = listener, dict[str, Any]()
        self._started, self._reported = time.perf_counter(), 0.0
        self._passes: list[tuple[int, float]] = []

    def start(self, skipped: float) -> None:
        """Training begins, with so much work done before."""
        now = time.perf_counter()
        self.startup, self._started, self.skipped = now - self._started, now, skipped

    def stage(self, sentence: str, **details: Any) -> None:
        """Enter a stage, and report it at once."""
        self._stage = {"stage": sentence, **details}
        self._report()

    def advance(self, images: float = 0.0) -> None:
        """Count work done, in forward passes of one image.

        Raises:
            Stopped: if somebody asked for it.
        """
        if self._listener.stop_requested:
            raise Stopped
        self.seen += images
        if time.perf_counter() - self._reported > REPORT_SECONDS:
            self._report()

    def advance_by_pass(self, images: int) -> None:
        """Count a batch that has passed the network, or its frozen part; as `advance`."""
        now = time.perf_counter()
        self.advance(images)
        self._passes.append((images, now))

    @property
    def forward_seconds(self) -> float | None:
        """Median seconds in which an image passes the network; None where none did."""
        pairs = zip(self._passes, self._passes[1:], strict=False)
        rates = sorted((now - before) / count for (_, before), (count, now) in pairs)
        return rates[len(rates) // 2] if rates else None

    def _report(self) -> None:
        self._reported = time.perf_counter()
        spent = self._reported - self._started
        done = min((self.skipped + self.seen) / self.total, 1.0)
        fresh = self.seen / self.total
        left = spent / fresh * (1 - done) if fresh > 0.02 else None
        self._listener.report({**self._stage, "fraction": round(done, 4), "seconds_left": left})
