"""A launcher that starts nothing and notes what it was asked for."""

from __future__ import annotations

from tl_engine.runs import Run, RunStore
from tl_engine.storage.lease import Holding


class RecordingLauncher:
    """What pages and commands started and ended.

    Attributes:
        started: each command with its arguments; ("worker",) where something waited for one.
        ended: ids of the runs whose process was to be killed.
    """

    def __init__(self) -> None:
        self.started: list[tuple[str, ...]] = []
        self.ended: list[str] = []

    def start(
        self, store: RunStore, command: str, *arguments: str, holding: Holding | None = None
    ) -> None:
        if holding:
            holding.release()
        self.started.append((command, *arguments))

    def ensure_worker(self, store: RunStore) -> None:
        if store.next_waiting():
            self.started.append(("worker",))

    def end_process(self, run: Run) -> None:
        self.ended.append(run.id)
