"""How far a run is: its position, committed to checkpoints; its stops, and what is left to do."""

import time
from typing import Any

import keras

from tl_engine.learning.freezing import may_change
from tl_engine.learning.variables import arrays_of, is_seed_state
from tl_engine.runs import Checkpoint, ClaimedRun, Stopped, StudyEvaluation

REPORT_SECONDS = 0.5


class Progress:
    """Counts the work of a run, or of an evaluation, and reports it now and then.

    Attributes:
        total, seen, skipped: work in forward passes of one image: all of it, done by this process,
            and not to be done by it.
        startup: seconds before training began.
    """

    def __init__(self, listener: ClaimedRun | StudyEvaluation, total: float = 1.0) -> None:
        """Look for the listener's stop, and report progress to it."""
        self.total, self.seen, self.skipped, self.startup = total, 0.0, 0.0, 0.0
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


class TrainingState:
    """The position of a run in its recipe, and what is recorded of its phases.

    Attributes:
        step: batches of the next epoch that are done.
        loss: the sum and the count whose quotient is that epoch's running loss.
        phases: records of the phases that are over: timings, audit, diagnosis.
        current: the record of the phase that is not, with its variables' hashes before it; empty
            between phases.
        committed: when it was committed last, on the performance counter.
    """

    def __init__(self, run: ClaimedRun, model: keras.Model, checkpoint: Checkpoint | None) -> None:
        """Go on from a checkpoint, with which the run's history ends; the network's variables have
        its values already."""
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
