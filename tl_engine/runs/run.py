"""One run's folder, and the questions one can ask it."""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tl_engine import fsio, locks
from tl_engine.errors import RecipeError, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs import checkpoint, measurements
from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.files import now, read_json
from tl_engine.runs.history import HISTORY_COLUMNS
from tl_engine.study import Seeds

if TYPE_CHECKING:
    from tl_engine.runs.study_folder import StudyFolder


class RunState(enum.Enum):
    """What has become of a run; derived from facts on disk whenever it is read.

    QUEUED: waits for a worker. RUNNING: a living process holds its lock. FINISHED: every epoch
    is done. STOPPED: ended because somebody asked. FAILED: ended by itself with a sentence.
    INTERRUPTED: its process died without a word (killed, power cut).
    """

    QUEUED = "queued"
    RUNNING = "running"
    FINISHED = "finished"
    STOPPED = "stopped"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen unless somebody asks."""
        return self not in (RunState.QUEUED, RunState.RUNNING)


@dataclass(frozen=True)
class Best:
    """The highest validation accuracy so far and the first epoch that reached it."""

    accuracy: float
    epoch: int


class Run:
    """One execution of one arm with one seed: a folder and the questions one can ask it."""

    def __init__(self, path: Path, study: StudyFolder) -> None:
        self.path = path
        self.study = study

    @property
    def id(self) -> str:
        """The id in its store, such as "20260823-143005-k3f9/arm1-pair01"."""
        return f"{self.study.id}/{self.path.name}"

    @cached_property
    def asked(self) -> dict[str, Any]:
        """What recipe.json says: recipe, arm, pair, seeds, threads, versions."""
        return read_json(self.path / "recipe.json", required=True)

    @cached_property
    def recipe(self) -> Recipe:
        """What is trained."""
        try:
            return Recipe.from_dict(self.asked["recipe"])
        except RecipeError as error:
            raise StoreError(f"The recipe of run {self.id} cannot be read: {error}") from error

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.asked["arm"]

    @property
    def pair(self) -> int:
        """The number of its paired seed, 1-based."""
        return self.asked["pair"]

    @property
    def seeds(self) -> Seeds:
        """The named seeds."""
        return Seeds(**self.asked["seeds"])

    @property
    def threads(self) -> int:
        """Threads that TensorFlow may use; part of what makes two runs bit-comparable."""
        return self.asked["threads"]

    @property
    def state(self) -> RunState:
        """Derived from facts, in an order that no change in between can mislead."""
        queued = self.is_queued
        if locks.is_held(self.path / "lock"):
            return RunState.RUNNING
        if queued:
            return RunState.QUEUED
        outcome = self.outcome
        return RunState(outcome["state"]) if outcome else RunState.INTERRUPTED

    @property
    def outcome(self) -> dict[str, Any]:
        """How it ended: state, sentence, ended (ISO time), seconds; empty while it has not."""
        return read_json(self.path / "outcome.json")

    @property
    def progress(self) -> dict[str, Any]:
        """Where the worker is: stage, phase, epoch, step, steps, fraction, seconds_left."""
        return read_json(self.path / "progress.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Machine, device and data fingerprint, as the worker met them."""
        return read_json(self.path / "environment.json")

    @property
    def scores(self) -> dict[str, Any]:
        """Counts, losses and confusions per split, audit and timings; empty until finished."""
        return read_json(self.path / "scores.json")

    def epochs(self) -> list[dict[str, Any]]:
        """The history's lines so far, oldest first; a line that is half written is not read."""
        try:
            text = (self.path / "history.jsonl").read_text()
        except FileNotFoundError:
            return []
        complete = text[: text.rfind("\n") + 1]
        try:
            return [json.loads(line) for line in complete.splitlines()]
        except ValueError as error:
            raise StoreError(f"The history of run {self.id} is damaged: {error}.") from error

    def history(self) -> pd.DataFrame:
        """The epochs as a tidy frame with HISTORY_COLUMNS."""
        named = {"study": self.study.id, "arm": self.arm, "seed": self.pair, "run": self.id}
        return pd.DataFrame(
            [{**named, **epoch} for epoch in self.epochs()], columns=list(HISTORY_COLUMNS)
        )

    def best(self) -> Best | None:
        """The best validation accuracy with its epoch; None before the first epoch."""
        epochs = self.epochs()
        if not epochs:
            return None
        top = max(epochs, key=lambda epoch: epoch["val_accuracy"])
        return Best(top["val_accuracy"], top["epoch"])

    def probabilities(self) -> dict[str, np.ndarray]:
        """Per split ("validation", "test"): probabilities (n, classes) float16, `<split>_labels`
        and `<split>_indices` (n,) into the dataset's published arrays.

        Raises:
            StoreError: before the run has finished.
        """
        path = self.path / "probabilities.npz"
        if not path.exists():
            raise StoreError(f"Run {self.id} has no probabilities yet: it is {self.state.value}.")
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log."""
        try:
            with open(self.path / "log.txt", "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
                text = file.read().decode(errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def keras_file(self) -> Path | None:
        """The finished run's model.keras; None until then."""
        path = self.path / "model.keras"
        return path if path.exists() else None

    @property
    def h5_file(self) -> Path | None:
        """The model as model.h5; None unless somebody asked for it."""
        path = self.path / "model.h5"
        return path if path.exists() else None

    def bytes_on_disk(self) -> int:
        """What the run takes, in bytes."""
        return sum(file.stat().st_size for file in self.path.iterdir() if file.is_file())

    # What people ask for.

    def request_stop(self) -> None:
        """Ask the worker to stop at its next batch; a queued run stops at once.

        Raises:
            StoreError: for a run that is over.
        """
        state = self.state
        if state.is_over:
            raise StoreError(f"Run {self.id} cannot be stopped: it is {state.value} already.")
        fsio.touch(self.path / "stop")
        if state is RunState.QUEUED:
            # A worker that claims it in this moment sees the stop before its first batch.
            fsio.remove(self.path / "queued")
            if not locks.is_held(self.path / "lock"):
                self.end(RunState.STOPPED, "Stopped before it began.", 0.0)

    def enqueue(self) -> None:
        """Let it be trained, from its last committed epoch if there is one.

        Raises:
            StoreError: for a run that is queued, running or finished.
        """
        state = self.state
        if state in (RunState.QUEUED, RunState.RUNNING, RunState.FINISHED):
            raise StoreError(f"Run {self.id} cannot be resumed: it is {state.value}.")
        fsio.remove(self.path / "stop")
        fsio.touch(self.path / "queued")
        fsio.remove(self.path / "outcome.json")

    # What the worker writes.

    def hold(self) -> AbstractContextManager[bool]:
        """The run's lock; gives False where another process trains it."""
        return locks.hold(self.path / "lock")

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a worker."""
        return (self.path / "queued").exists()

    def claim(self) -> None:
        """Leave the queue; the caller holds the lock."""
        fsio.remove(self.path / "queued")

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop."""
        return (self.path / "stop").exists()

    def report(self, progress: dict[str, Any]) -> None:
        """Say where the worker is."""
        fsio.write_json(self.path / "progress.json", progress, durable=False)

    def record_environment(self, environment: dict[str, Any]) -> None:
        """Note what the worker met."""
        fsio.write_json(self.path / "environment.json", environment)

    def append_epoch(self, epoch: dict[str, Any]) -> None:
        """Append a history line."""
        fsio.append_line(self.path / "history.jsonl", epoch)

    def commit(
        self, epoch: int, model: dict[str, np.ndarray], optimizer: dict[str, np.ndarray]
    ) -> None:
        """Make the end of `epoch` the state to go on from, and drop the one before."""
        checkpoint.commit(self.path, epoch, model, optimizer)

    def checkpoint(self) -> Checkpoint | None:
        """The last committed state; None before the first epoch.

        Raises:
            StoreError: where a file is missing or does not match its sha256.
        """
        return checkpoint.read(self.path)

    def model_arrays(self) -> dict[str, np.ndarray]:
        """All variables of the model at the last committed epoch, in the model's order.

        Raises:
            StoreError: where there is none or it does not match its sha256.
        """
        arrays = checkpoint.read_model(self.path)
        if arrays is None:
            raise StoreError(f"Run {self.id} has no trained model yet: it is {self.state.value}.")
        return arrays

    def rewind_history(self, epoch: int) -> None:
        """Drop history lines after `epoch`: they were never committed."""
        epochs = self.epochs()
        kept = [line for line in epochs if line["epoch"] <= epoch]
        fsio.rewrite_lines(self.path / "history.jsonl", kept)

    def record_results(self, scores: dict[str, Any], probabilities: dict[str, np.ndarray]) -> None:
        """Keep the scores and the per-image probabilities of a run that is done."""
        fsio.write_arrays(self.path / "probabilities.npz", probabilities)
        fsio.write_json(self.path / "scores.json", scores)

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Keep how long the run's steps took, for estimates."""
        measurements.add(self.study.path.parent, measurement)

    def save_model(self, save: Callable[[Path], object], suffix: str = "keras") -> None:
        """Keep model.keras or model.h5, written by `save(path)`."""
        fsio.write_through(self.path / f"model.{suffix}", save)

    def end(self, state: RunState, sentence: str, seconds: float) -> None:
        """Write how it ended; last of all."""
        fsio.write_json(
            self.path / "outcome.json",
            {
                "state": state.value,
                "sentence": sentence,
                "ended": now(),
                "seconds": round(seconds, 3),
            },
        )
        if state is RunState.FINISHED:
            checkpoint.drop_optimizer(self.path)

    def open_log(self) -> IO[bytes]:
        """The log, to append to."""
        return fsio.open_log(self.path / "log.txt")


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none."""
    frames = [frame for run in runs if not (frame := run.history()).empty]
    if not frames:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.concat(frames, ignore_index=True)
