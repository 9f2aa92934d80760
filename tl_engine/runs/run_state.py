"""What a run's files say, checked against one another, and the state that follows from them.

A state is derived whenever it is read, from the files and the lock, and never stored.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine.errors import DamagedError
from tl_engine.recipe import Phase
from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.layout import CHECKPOINT, ENVIRONMENT, HISTORY, RUN_FILES
from tl_engine.storage import reading
from tl_engine.storage.record_files import Records

COSTS = ("seconds", "cold_seconds", "shared")
"""Columns of the history that depend on what was cached; no other column does."""
HISTORY_COLUMNS = (
    *("study", "arm", "seed", "run", "phase", "trainable", "epoch", "learning_rate", "seconds"),
    *("images", "loss", "accuracy", "val_loss", "val_accuracy", "cold_seconds", "shared"),
)


class RunState(enum.Enum):
    """The state of a run.

    QUEUED: waits for a worker. RUNNING: a living process holds its lock. PAUSED: that process
    waits for a disk that is full or refuses to be written. NOT_RESPONDING: that process has sent no
    heartbeat for a while. FINISHED: every epoch is done. STOPPED: ended because somebody requested
    it. FAILED: ended by itself, with a reason. INTERRUPTED: its process died (killed, power cut); a
    worker continues it. DAMAGED: a file is not what was written.
    """

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    NOT_RESPONDING = "not responding"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    DAMAGED = "damaged"

    @property
    def is_alive(self) -> bool:
        """Whether a living process holds the run."""
        return self in (RunState.RUNNING, RunState.PAUSED, RunState.NOT_RESPONDING)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless somebody requests it."""
        return not self.is_alive and not self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """Whether a worker should train it."""
        return self in (RunState.QUEUED, RunState.INTERRUPTED)

    @property
    def is_resumable(self) -> bool:
        """Whether somebody may put it into the queue again."""
        return self is RunState.INTERRUPTED or (self.is_over and self is not RunState.FINISHED)


class Facts(NamedTuple):
    """What a run's files say; each field is described where `Run` has it, too."""

    outcome: dict[str, Any]
    epochs: list[dict[str, Any]]
    scores: dict[str, Any]
    environments: list[dict[str, Any]]


class Observation(NamedTuple):
    """A run's state, a sentence about it (may be empty), and the facts behind it; None where they
    are damaged."""

    state: RunState
    sentence: str
    facts: Facts | None


def state_if_held(heartbeat: Heartbeat | None, facts: Facts | None) -> Observation:
    """The state of a run whose lock a process holds."""
    if heartbeat and heartbeat.is_silent:
        sentence = f"Its process lives, and gave no sign of life for {heartbeat.age:.0f} s."
        return Observation(RunState.NOT_RESPONDING, sentence, facts)
    if heartbeat and "paused" in heartbeat.progress:
        return Observation(RunState.PAUSED, heartbeat.progress["paused"], facts)
    return Observation(RunState.RUNNING, "", facts)


def epoch_line(
    epoch: int, phase_index: int, phase: Phase, measured: dict[str, float]
) -> dict[str, Any]:
    """A line of the history: the epoch's place, and what was measured in it (losses, accuracies,
    seconds; cold_seconds, if nothing had been cached; its learning_rate where a schedule changes
    it)."""
    return {
        "epoch": epoch,
        "phase": phase_index,
        "trainable": phase.trainable_label,
        "learning_rate": phase.learning_rate,
        **measured,
    }


def read_facts(records: Records, phases: int) -> Facts:
    """The facts of a run whose recipe has so many phases; DamagedError for the first file that is
    missing or not what was written."""
    names = set()
    for entry in reading.names_in(records.folder):
        names.add(entry.name)
        if entry.name in RUN_FILES:
            reading.require_file(entry)
    outcome = records.read("outcome.json")
    files = outcome.get("files", {})
    # Before the epochs, which a running process writes first.
    manifest = records.read(CHECKPOINT, sha256=files.get(CHECKPOINT, ""))
    facts = Facts(
        outcome,
        read_epochs(records, phases, files.get(HISTORY, "")),
        records.read("scores.json", sha256=files.get("scores.json", "")),
        records.read(ENVIRONMENT, sha256=files.get(ENVIRONMENT, "")).get("met", []),
    )
    _check_epochs(records.folder, facts.epochs, committed=manifest.get("epoch", 0))
    for name in sorted(_required(records, outcome, manifest) - names):
        raise DamagedError(records.folder / name, reading.MISSING)
    return facts


def read_epochs(records: Records, phases: int, sha256: str = "") -> list[dict[str, Any]]:
    """The lines of a run's history, oldest first; an unfinished last line is left out.

    Args:
        phases: how many its recipe has.
        sha256: of the file, where the outcome names it.

    Raises:
        DamagedError: for a history that is not what was written.
    """
    epochs = records.lines(HISTORY, sha256=sha256)
    if [line["epoch"] for line in epochs] != list(range(1, len(epochs) + 1)):
        raise DamagedError(records.folder / HISTORY, "an epoch is missing or twice there")
    if any(line["phase"] >= phases for line in epochs):
        what = f"it has an epoch of a phase beyond the recipe's {phases}"
        raise DamagedError(records.folder / HISTORY, what)
    return epochs


def _check_epochs(folder: Path, epochs: list[dict[str, Any]], committed: int) -> None:
    if len(epochs) < committed:
        raise DamagedError(folder / HISTORY, f"it has {len(epochs)} of {committed} epochs")
    # Each epoch is committed before the next begins, but those of another run all at once.
    uncommitted = epochs[committed:]
    if len(uncommitted) > 1 and not all("shared" in line for line in uncommitted):
        raise DamagedError(folder / CHECKPOINT, f"it has {committed} of {len(epochs)} epochs")


def _required(
    records: Records, outcome: Mapping[str, Any], manifest: Mapping[str, Any]
) -> set[str]:
    """Names of the files that a run with this outcome and this last commit has."""
    # Format 2 does not note it in a commit, and wrote the environment before the first.
    has_epochs = manifest.get("epoch", 0) > 0
    has_environment = manifest.get("environment", has_epochs and not records.owner)
    required = {ENVIRONMENT} if has_environment else set()
    if outcome.get("state") == "finished":
        required |= {"scores.json", CHECKPOINT, *outcome.get("files", {})}
    return required
