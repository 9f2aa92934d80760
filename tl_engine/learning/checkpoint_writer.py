"""Commit a run's state: all variables once, then only those that the phase may change."""

from __future__ import annotations

import time

import keras

from tl_engine.learning.freezing import may_change
from tl_engine.learning.training_state import TrainingState
from tl_engine.learning.variables import arrays_of, is_seed_state
from tl_engine.runs import Checkpoint, ClaimedRun


class CheckpointWriter:
    """Writes the checkpoints of a run.

    Attributes:
        committed: when the last one was written, on the performance counter.
    """

    def __init__(self, run: ClaimedRun, model: keras.Model, last: Checkpoint | None) -> None:
        """
        Args:
            last: the checkpoint that the run goes on from.
        """
        self._run, self._model = run, model
        self._is_partial = last is not None and last.partial
        self._has_base = False
        self._changing: set[int] | None = None
        self.committed = time.perf_counter()

    def enter_phase(self, *, is_resumed: bool, has_history: bool) -> None:
        """A phase begins, or goes on in this process; its layers are set already.

        Args:
            has_history: whether the run has finished an epoch.
        """
        variables = self._model.variables
        changing = may_change(self._model) | {id(v) for v in variables if is_seed_state(v)}
        self._changing = changing if len(changing) < len(variables) else None
        # After a partial commit of the phase before, no one file holds all variables.
        self._has_base = has_history and (is_resumed or not self._is_partial)

    def commit(self, state: TrainingState, epoch: int, optimizer: keras.Optimizer) -> None:
        """Make this the state to go on from.

        Args:
            epoch: epochs that are complete.
        """
        is_partial = self._changing is not None and self._has_base
        self._run.commit(
            Checkpoint(
                epoch=epoch,
                step=state.step,
                model=arrays_of(self._model.variables, self._changing if is_partial else None),
                optimizer=arrays_of(optimizer.variables),
                notes=state.notes,
                partial=is_partial,
            )
        )
        self._has_base, self._is_partial = True, is_partial
        self.committed = time.perf_counter()
