"""A run: one arm of a study, trained with one seed, in a folder of its own."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_engine.errors import RECIPE_ERRORS, DamagedError, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs import checkpoint, heartbeat, run_state
from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.layout import ENVIRONMENT, FACT_FILES, arm_and_pair, records_in
from tl_engine.runs.run_state import HISTORY_COLUMNS, Facts, Observation, RunState
from tl_engine.runs.study_record import StudyRecord
from tl_engine.storage import reading
from tl_engine.storage.lease import Holding, hold, is_held
from tl_engine.storage.locks import lease_of
from tl_engine.storage.record_files import Records, checksum
from tl_engine.study import Seeds

if TYPE_CHECKING:
    import pandas as pd


class Run:
    """One arm of a study, trained with one seed.

    Attributes:
        path: its folder.
        study: what its study's own files say.
    """

    def __init__(self, path: Path, study: StudyRecord) -> None:
        self.path = path
        self.study = study

    @property
    def id(self) -> str:
        """The id in its store, such as "20260823-143005-k3f9/arm1-pair01"."""
        return f"{self.study.id}/{self.path.name}"

    @property
    def arm_index(self) -> int:
        """The arm's place in its study, 0-based."""
        return arm_and_pair(self.path.name)[0]

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.study.study.arms[self.arm_index].name

    @property
    def pair(self) -> int:
        """The number of its paired seed, 1-based."""
        return arm_and_pair(self.path.name)[1]

    @cached_property
    def recipe_record(self) -> dict[str, Any]:
        """What recipe.json holds: recipe, arm, pair, seeds, threads, versions and more (see
        `layout.SHAPES`); where the file is missing, what follows from the study.

        Raises:
            DamagedError: where it is not what was written, or belongs to another run.
        """
        path = self.path / "recipe.json"
        record = records_in(self.path).read(path.name) or _rebuilt_record(self)
        place = (self.pair, self.arm, self.study.written_id)
        if (record["pair"], record["arm"], record.get("study", "")) != place:
            raise DamagedError(path, "it is that of another run")
        if record["format"] < self.study.format:
            raise DamagedError(path, "it is older than its study")
        return record

    @cached_property
    def records(self) -> Records:
        """Its JSON files."""
        record = self.recipe_record
        owner = {name: record.get(name) for name in ("study", "recipe", "arm", "pair", "seeds")}
        return records_in(self.path, checksum(owner) if record["format"] >= 3 else "")

    @cached_property
    def recipe(self) -> Recipe:
        """What is trained.

        Raises:
            StoreError: where it cannot be read, or is not that of its arm.
        """
        arm_recipe = self.study.study.arms[self.arm_index].recipe
        written = self.recipe_record["recipe"]
        if written == self.study.recipe_as_written(self.arm_index):
            return arm_recipe  # parsed already
        try:
            recipe = Recipe.from_dict(written, arm_recipe.snapshot)
        except RECIPE_ERRORS as error:
            raise StoreError(f"The recipe of run {self.id} cannot be read: {error}") from error
        if recipe != arm_recipe:
            raise DamagedError(self.path / "recipe.json", "it is that of another run")
        return recipe

    @property
    def seeds(self) -> Seeds:
        """The named seeds."""
        return Seeds(**self.recipe_record["seeds"])

    @property
    def threads(self) -> int:
        """Threads that TensorFlow may use; part of what makes two runs bit-comparable."""
        return self.recipe_record["threads"]

    def observe(self, *, held_here: bool = False) -> Observation:
        """Its state, a sentence about it, and the facts behind both, read in an order that no
        change by another process can mislead.

        Args:
            held_here: this process holds the lock; the state is the one before it took the lock.
        """
        is_queued, has_holder = self.is_queued, False
        try:
            has_holder = not held_here and is_held(lease_of(self.path / "lock"))
            facts, damage = self.facts(), ""
        except StoreError as error:
            facts, damage = None, str(error)
        if has_holder:
            return run_state.state_if_held(self.heartbeat, facts)
        if facts is None:
            return Observation(RunState.DAMAGED, damage, None)
        if is_queued:
            return Observation(RunState.QUEUED, "", facts)
        if outcome := facts.outcome:
            return Observation(RunState(outcome["state"]), outcome["sentence"], facts)
        if self.stop_requested:
            return Observation(RunState.STOPPED, "Stopped while no process trained it.", facts)
        return Observation(RunState.INTERRUPTED, "", facts)

    @property
    def state(self) -> RunState:
        """Its state now."""
        return self.observe().state

    @property
    def sentence(self) -> str:
        """A sentence about its state; may be empty."""
        return self.observe().sentence

    @property
    def is_waiting(self) -> bool:
        """Whether a worker should train it: queued, or interrupted; fast for many runs."""
        if os.path.lexists(self.path / "outcome.json") and not self.is_queued:
            return False
        return self.state.is_waiting

    def facts(self) -> Facts:
        """What its files say, read together and checked against one another; StoreError for the
        first that is not what was written. Arrays and models are checked when they are read."""
        return run_state.read_facts(self.records, len(self.recipe.phases))

    @property
    def outcome(self) -> dict[str, Any]:
        """How it ended: state, sentence, ended (ISO time), seconds (of its last process),
        total_seconds (of all its processes), files (sha256 by name); empty before."""
        return self.records.read("outcome.json")

    def epochs(self) -> list[dict[str, Any]]:
        """The history's lines so far; see `run_state.read_epochs`."""
        return run_state.read_epochs(self.records, len(self.recipe.phases))

    @property
    def scores(self) -> dict[str, Any]:
        """Counts, loss and confusion of validation, audit and timings; empty until finished."""
        return self.records.read("scores.json")

    @property
    def environments(self) -> list[dict[str, Any]]:
        """Machine, device, versions and data fingerprint of its processes: one entry, or several
        where it was continued in another environment."""
        return self.records.read(ENVIRONMENT).get("met", [])

    @property
    def is_bit_comparable(self) -> bool:
        """Whether an uninterrupted run would have the same bits: versions, processor and threads
        stayed the same."""
        return len(self.environments) <= 1

    def history(self) -> pd.DataFrame:
        """The epochs as a tidy frame with HISTORY_COLUMNS, one row each; errors as those of
        `facts`."""
        import pandas as pd  # takes half a second, which training and classifying do not need

        named = {"study": self.study.id, "arm": self.arm, "seed": self.pair, "run": self.id}
        rows = [
            {**named, "cold_seconds": epoch["seconds"], "shared": "", **epoch}
            for epoch in self.facts().epochs
        ]
        return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))

    def attempts(self) -> list[dict[str, Any]]:
        """Its processes, oldest first: at, asked (whether a person requested it), the epoch and
        step it began at, before (seconds of all processes before it). Damaged lines are left out:
        they only tell when to give up."""
        try:
            return self.records.readable_lines("attempts.jsonl")
        except StoreError:
            return []

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The last heartbeat of the process that trains it."""
        return heartbeat.read(self.path)

    def checkpoint(self) -> Checkpoint | None:
        """The last committed state; None before the first commit. Errors as `checkpoint.read`."""
        return checkpoint.read(self.records)

    def hold(self) -> AbstractContextManager[Holding | None]:
        """Hold the run's lock for a block; gives None where another process trains it. StoreError
        where the run is gone."""
        if not self.path.is_dir():
            raise missing(self)
        return hold(lease_of(self.path / "lock"))

    @property
    def is_queued(self) -> bool:
        """Whether it is in the queue."""
        return os.path.lexists(self.path / "queued")

    @property
    def stop_requested(self) -> bool:
        """Whether somebody requested that the run stops."""
        return os.path.lexists(self.path / "stop")


def missing(run: Run) -> StoreError:
    """The error for a run whose folder does not exist any more."""
    return StoreError(f"There is no run {run.id} any more: somebody deleted it.")


def _rebuilt_record(run: Run) -> dict[str, Any]:
    """What a missing recipe.json held, according to the study. Where the run has results, their
    checksums show whether that is right; in format 2 nothing does."""
    record = run.study.run_record(run.arm_index, run.pair)
    has_results = any(os.path.lexists(run.path / name) for name in FACT_FILES)
    is_requested = run.is_queued or run.stop_requested
    if (has_results and record["format"] < 3) or not (has_results or is_requested):
        raise DamagedError(run.path / "recipe.json", reading.MISSING)
    return record
