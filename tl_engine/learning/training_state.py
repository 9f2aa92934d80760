"""How far a run is: what a checkpoint holds besides variables."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tl_engine.runs import Checkpoint


@dataclass
class TrainingState:
    """The position of a run in its recipe, and what is recorded of its phases.

    Attributes:
        history: the run's lines so far.
        step: batches of the next epoch that are done.
        loss: the sum and the count whose quotient is that epoch's running loss.
        phases: records of the phases that are over: timings, audit, diagnosis.
        current: the record of the phase that is not, with its variables' hashes before it; empty
            between phases.
    """

    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    loss: list[float] = field(default_factory=lambda: [0.0, 0.0])
    phases: list[dict[str, Any]] = field(default_factory=list)
    current: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def restored(cls, checkpoint: Checkpoint, history: list[dict[str, Any]]) -> TrainingState:
        """The state that was committed, with the run's history up to there."""
        notes = checkpoint.notes  # of another run's phase end: phases alone
        names = [name for name in ("loss", "phases", "current") if name in notes]
        return cls(history, checkpoint.step, **{name: notes[name] for name in names})

    @property
    def notes(self) -> dict[str, Any]:
        """What a checkpoint notes of it, as JSON."""
        return {"loss": self.loss, "phases": self.phases, "current": self.current}

    def end_epoch(self, line: dict[str, Any]) -> None:
        """The next epoch begins."""
        self.history.append(line)
        self.step, self.loss = 0, [0.0, 0.0]

    def end_phase(self, **record: Any) -> None:
        """Close the record of the phase that is over.

        Args:
            record: what is added to it.
        """
        self.phases.append({**self.current, **record})
        self.current = {}
