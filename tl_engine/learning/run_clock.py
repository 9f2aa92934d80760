"""What a run took, and what it would have taken had no run before it traced its graphs."""

from __future__ import annotations

import time

from tl_engine.learning.batches import TracedGraph


class RunClock:
    """Measures a run in this process.

    Attributes:
        startup: seconds from claiming the run to its first phase.
    """

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self.startup = 0.0
        self._passes: list[tuple[int, float]] = []
        self._counted: set[TracedGraph] = set()

    def start(self) -> None:
        """The first phase begins."""
        self.startup = time.perf_counter() - self._began

    def note_pass(self, images: int) -> None:
        """A batch of images has passed the network, or its frozen part."""
        self._passes.append((images, time.perf_counter()))

    def leave_out(self, graphs: set[TracedGraph]) -> None:
        """Count the warm-up of these graphs no more: phases before have paid for it."""
        self._counted |= graphs

    def has_counted(self, graph: TracedGraph) -> bool:
        """Whether the graph's warm-up is counted already."""
        return graph in self._counted

    def saved_by(self, graph: TracedGraph) -> float:
        """Seconds that tracing the graph would have taken in this run, had not another run in this
        process traced it; counted once."""
        saved = 0.0 if graph in self._counted else graph.warm_up
        self._counted.add(graph)
        return saved

    @property
    def forward_seconds(self) -> float | None:
        """Seconds in which an image passes the network, the median; None where none did."""
        pairs = zip(self._passes, self._passes[1:], strict=False)
        rates = sorted((now - before) / count for (_, before), (count, now) in pairs)
        return rates[len(rates) // 2] if rates else None
