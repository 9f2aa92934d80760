"""How far a run is: restored from its last checkpoint, committed to the next ones."""

from __future__ import annotations

import time
from typing import Any

import keras

from tl_engine.learning.freezing import may_change
from tl_engine.learning.variables import arrays_of, is_seed_state
from tl_engine.runs import Checkpoint, ClaimedRun


class TrainingState:
    """The position of a run in its recipe, and what is recorded of its phases.

    Attributes:
        history: the run's lines so far.
        step: batches of the next epoch that are done.
        loss: the sum and the count whose quotient is that epoch's running loss.
        phases: records of the phases that are over: timings, audit, diagnosis.
        current: the record of the phase that is not, with its variables' hashes before it; empty
            between phases.
        committed: when it was committed last, on the performance counter.
    """

    def __init__(self, run: ClaimedRun, model: keras.Model, checkpoint: Checkpoint | None) -> None:
        """
        Args:
            model: the network, whose variables are those of the checkpoint.
            checkpoint: the one that the run goes on from; its history ends there.
        """
        self._run, self._model = run, model
        notes = checkpoint.notes if checkpoint else {}
        self.history = run.epochs()
        self.step = checkpoint.step if checkpoint else 0
        self.loss: list[float] = notes.get("loss", [0.0, 0.0])
        self.phases: list[dict[str, Any]] = notes.get("phases", [])
        self.current: dict[str, Any] = notes.get("current", {})
        self._is_partial = checkpoint is not None and checkpoint.partial
        self._has_base = False
        self._changing: set[int] | None = None
        self.committed = time.perf_counter()

    def enter_phase(self, *, is_resumed: bool) -> None:
        """A phase begins, or goes on in this process; its layers are set already."""
        variables = self._model.variables
        changing = may_change(self._model) | {id(v) for v in variables if is_seed_state(v)}
        self._changing = changing if len(changing) < len(variables) else None
        # After a partial commit of the phase before, no one file holds all variables.
        self._has_base = bool(self.history) and (is_resumed or not self._is_partial)

    def end_epoch(self, line: dict[str, Any]) -> None:
        """The next epoch begins."""
        self.history.append(line)
        self.step, self.loss = 0, [0.0, 0.0]

    def commit(self, optimizer: keras.Optimizer) -> None:
        """Make this the state to go on from: with all variables, or, where a commit holds the
        others, with those alone that the phase may change."""
        self._is_partial = self._changing is not None and self._has_base
        chosen = self._changing if self._is_partial else None
        self._run.commit(
            Checkpoint(
                epoch=len(self.history),
                step=self.step,
                model=arrays_of(self._model.variables, chosen),
                optimizer=arrays_of(optimizer.variables),
                notes={"loss": self.loss, "phases": self.phases, "current": self.current},
                partial=self._is_partial,
            )
        )
        self._has_base = True
        self.committed = time.perf_counter()
