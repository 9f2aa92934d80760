"""The state of a run: derived from its files and its lock whenever it is read, never stored."""

from __future__ import annotations

import enum
from typing import NamedTuple

from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.run_facts import Facts


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
        return self in (
            RunState.STOPPED,
            RunState.FAILED,
            RunState.INTERRUPTED,
            RunState.DAMAGED,
        )


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


def state_if_free(facts: Facts, *, is_queued: bool, stop_requested: bool) -> Observation:
    """The state of a sound run that no process trains."""
    if is_queued:
        return Observation(RunState.QUEUED, "", facts)
    if outcome := facts.outcome:
        return Observation(RunState(outcome["state"]), outcome["sentence"], facts)
    if stop_requested:
        return Observation(RunState.STOPPED, "Stopped while no process trained it.", facts)
    return Observation(RunState.INTERRUPTED, "", facts)
