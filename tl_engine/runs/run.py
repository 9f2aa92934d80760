"""One run's folder, and the questions one can ask it."""

from __future__ import annotations

import contextlib
import enum
import os
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tl_engine.errors import RECIPE_ERRORS, DamagedError, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs import checkpoint, evaluation_results, heartbeat, shapes
from tl_engine.runs.checkpoint import Checkpoint
from tl_engine.runs.evaluation_results import Evaluation
from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.history import HISTORY_COLUMNS
from tl_engine.storage import atomic, record_files
from tl_engine.storage.holder import Holding
from tl_engine.storage.lease import hold, is_held, lease_of
from tl_engine.storage.record_files import Records
from tl_engine.study import Seeds

if TYPE_CHECKING:
    import pandas as pd

    from tl_engine.runs.study_folder import StudyFolder

QUARANTINE = "quarantine"
KEPT_ON_RESTART = ("recipe.json", "queued", "lock", "log.txt", "pulse")
READ = ("outcome.json", "checkpoint.json", "history.jsonl", "scores.json", "environment.json")
"""What everything that is shown of a run comes from, beside its recipe."""
LEFT = (*READ[1:], "probabilities.npz", "model.keras")
"""What a finished run has left; its outcome names each with its sha256."""
FILES = frozenset({*READ, *LEFT, "recipe.json", *KEPT_ON_RESTART, "stop", "attempts.jsonl"})


class RunState(enum.Enum):
    """What has become of a run; derived from facts on disk whenever it is read.

    QUEUED: waits for a worker. RUNNING: a living process holds its lock. PAUSED: that process
    waits for a disk that is full or refuses to be written. NOT_RESPONDING: that process gives no
    sign of life. FINISHED: every epoch is done. STOPPED: ended because somebody asked. FAILED:
    ended by itself with a sentence. INTERRUPTED: its process died without a word (killed, power
    cut); it goes on by itself when a worker lives. DAMAGED: a file is not what was written.
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
        """Whether nothing more will happen unless somebody asks."""
        return not self.is_alive and not self.is_waiting

    @property
    def is_waiting(self) -> bool:
        """Whether a worker should train it."""
        return self in (RunState.QUEUED, RunState.INTERRUPTED)

    @property
    def is_resumable(self) -> bool:
        """Whether somebody may ask for it again."""
        return self in (
            RunState.STOPPED,
            RunState.FAILED,
            RunState.INTERRUPTED,
            RunState.DAMAGED,
        )


@dataclass(frozen=True)
class Best:
    """The highest validation accuracy so far and the first epoch that reached it."""

    accuracy: float
    epoch: int


class Facts(NamedTuple):
    """What the files of a run say: how it ended, its epochs, its scores, what it met."""

    outcome: dict[str, Any]
    epochs: list[dict[str, Any]]
    scores: dict[str, Any]
    environments: list[dict[str, Any]]


class Observation(NamedTuple):
    """What has become of a run, what there is to say about it (may be empty), and the facts
    behind it; no facts where they are damaged."""

    state: RunState
    sentence: str
    facts: Facts | None


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
        """What recipe.json says: recipe, arm, pair, seeds, threads, versions; where it is missing,
        what follows from the study.

        Raises:
            DamagedError: where it is not what was written, or that of another run.
        """
        path = self.path / "recipe.json"
        asked = Records(self.path, checked=False).read(path.name) or self._rebuilt()
        place = (asked["pair"], asked["arm"], asked.get("study", ""))
        if place != (self.pair, self.arm, self.study.written_id):
            raise DamagedError(path, "it is that of another run")
        if asked.get("format", 1) < self.study.format:
            raise DamagedError(path, "it is older than its study")
        return asked

    def _rebuilt(self) -> dict[str, Any]:
        """What the run was asked, from what its study and the other runs were. Where it has
        results, their checksums tell whether this is true; before format 3 nothing does."""
        asked, path = self.study.asked_of(self.arm_index, self.pair), self.path / "recipe.json"
        results = any(map(self._has, READ))
        is_asked = self.is_queued or self._has("stop")
        if (results and asked["format"] < 3) or not (results or is_asked):
            raise DamagedError(path, "it is missing")
        return asked

    @property
    def has_checksums(self) -> bool:
        """Whether its files carry checksums; those of format 1 do not."""
        return "format" in self.asked

    @cached_property
    def records(self) -> Records:
        """Its JSON files."""
        asked, owner = self.asked, ""
        if asked.get("format", 1) >= 3:
            names = ("study", "recipe", "arm", "pair", "seeds")
            owner = record_files.checksum({name: asked[name] for name in names})
        return Records(self.path, owner, checked=self.has_checksums)

    @cached_property
    def recipe(self) -> Recipe:
        """What is trained.

        Raises:
            StoreError: where it cannot be read, or is not its arm's.
        """
        of_arm = self.study.study.arms[self.arm_index].recipe
        asked = self.asked["recipe"]
        if asked == self.study.recipe_as_written(self.arm_index):
            return of_arm  # already read
        try:
            recipe = Recipe.from_dict(asked)
        except RECIPE_ERRORS as error:
            raise StoreError(f"The recipe of run {self.id} cannot be read: {error}") from error
        if recipe != of_arm:
            raise DamagedError(self.path / "recipe.json", "it is that of another run")
        return recipe

    @property
    def arm_index(self) -> int:
        """The arm's place in its study, 0-based."""
        return _numbers(self.path.name)[0] - 1

    @property
    def arm(self) -> str:
        """The arm's name."""
        return self.study.study.arms[self.arm_index].name

    @property
    def pair(self) -> int:
        """The number of its paired seed, 1-based."""
        return _numbers(self.path.name)[1]

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
        """What has become of it."""
        return self.observe().state

    def observe(self) -> Observation:
        """Its state and what there is to say about it, derived from facts in an order that no
        change in between can mislead."""
        queued, held = self.is_queued, False
        try:
            held = is_held(lease_of(self.path / "lock"))
            facts, damage = self.facts(), ""
        except StoreError as error:
            facts, damage = None, str(error)
        if held:
            return self._living(self.heartbeat, facts)
        if facts is None:
            return Observation(RunState.DAMAGED, damage, None)
        return self._resting(queued, facts)

    @property
    def is_waiting(self) -> bool:
        """Whether a worker should train it: queued, or interrupted; cheap to ask of many."""
        if self._has("outcome.json") and not self.is_queued:
            return False
        return self.state.is_waiting

    @property
    def damage(self) -> str:
        """The sentence about the first of its facts that is not what was written; empty for a
        sound run. What else it left is checked when it is read."""
        try:
            self.facts()
        except StoreError as error:
            return str(error)
        return ""

    def facts(self) -> Facts:
        """What its files say, read together and checked against one another.

        Raises:
            StoreError: for the first of them that is not what was written.
        """
        _ = self.recipe
        there = self._names()
        outcome = self.outcome
        left = outcome.get("files", {})
        # Before the epochs, which a living process writes first.
        manifest = self.records.read(checkpoint.MANIFEST, sha256=left.get(checkpoint.MANIFEST, ""))
        committed, _ = checkpoint.position_in(manifest)
        facts = Facts(
            outcome,
            self._epochs(left.get("history.jsonl", "")),
            self._scores(left.get("scores.json", "")),
            self._environments(left.get("environment.json", "")),
        )
        if len(facts.epochs) < committed:
            found = f"it has {len(facts.epochs)} of {committed} epochs"
            raise DamagedError(self.path / "history.jsonl", found)
        # Each epoch is committed before the next begins, but those of another run all at once.
        unknown = facts.epochs[committed:]
        if len(unknown) > 1 and not all("shared" in line for line in unknown):
            found = f"it has {committed} of {len(facts.epochs)} epochs"
            raise DamagedError(self.path / checkpoint.MANIFEST, found)
        finished = outcome.get("state") == RunState.FINISHED.value
        # Before format 3 no commit says so, and each was made after it was written.
        met = manifest.get("environment", committed and self.study.format < 3)
        needed = {checkpoint.ENVIRONMENT} if met else set()
        if finished:
            needed |= {"scores.json", checkpoint.MANIFEST, *left}
            if not self.records.owner:
                record_files.valid(self.path / "scores.json", facts.scores, shapes.WholeScores)
        for name in sorted(needed - there):
            raise DamagedError(self.path / name, "it is missing")
        return facts

    def _names(self) -> set[str]:
        """What lies in its folder.

        Raises:
            DamagedError: where something that is no file has the name of one of its files.
        """
        names = set()
        for entry in record_files.names_in(self.path):
            names.add(entry.name)
            if entry.name in FILES:
                record_files.require_file(entry)
        return names

    def _has(self, name: str) -> bool:
        return os.path.lexists(self.path / name)

    @property
    def outcome(self) -> dict[str, Any]:
        """How it ended: state, sentence, ended (ISO time), seconds (of its last
        process), total_seconds (of all); empty while it has not."""
        return self._read("outcome.json")

    @property
    def sentence(self) -> str:
        """What there is to say about its state; may be empty."""
        return self.observe().sentence

    @property
    def heartbeat(self) -> Heartbeat | None:
        """The last sign of life of the process that trains it."""
        return heartbeat.read(self.path)

    @property
    def progress(self) -> dict[str, Any]:
        """Where the worker is: stage, phase, epoch, epochs, fraction, seconds_left, paused."""
        beat = self.heartbeat
        return beat.progress if beat else {}

    @property
    def environments(self) -> list[dict[str, Any]]:
        """Machine, device, versions and data fingerprint, as its processes met them: one, or
        several where a run went on under others."""
        return self._environments()

    def _environments(self, sha256: str = "") -> list[dict[str, Any]]:
        value = self.records.read(checkpoint.ENVIRONMENT, sha256=sha256)
        met = value.get("met", [value] if value else [])
        return record_files.valid(self.path / checkpoint.ENVIRONMENT, met, list[shapes.Met])

    @property
    def is_bit_comparable(self) -> bool:
        """Whether its bits are those that an uninterrupted run would have: versions, processor
        and threads stayed the same."""
        return len(self.environments) <= 1

    @property
    def scores(self) -> dict[str, Any]:
        """Counts, loss and confusion of validation, audit and timings; empty until finished. Test
        results, which an earlier version kept with them, are left out."""
        return self._scores()

    def _scores(self, sha256: str = "") -> dict[str, Any]:
        scores = self.records.read("scores.json", sha256=sha256)
        scores.get("splits", {}).pop("test", None)
        return scores

    def attempts(self) -> list[dict[str, Any]]:
        """Its processes, oldest first: at, asked (by a person), epoch and step they began at,
        before (seconds that those before it took); damaged lines are passed over, they only tell
        when to give up."""
        try:
            return self.records.readable_lines("attempts.jsonl")
        except StoreError:
            return []

    def attempts_since_asked(self) -> list[dict[str, Any]]:
        """The attempts since somebody last asked for it, that one included."""
        since: list[dict[str, Any]] = []
        for attempt in self.attempts():
            since = [attempt] if attempt["asked"] else [*since, attempt]
        return since

    def epochs(self) -> list[dict[str, Any]]:
        """The history's lines so far, oldest first; a line that is half written is not read.

        Raises:
            DamagedError: for a history that is not what was written.
        """
        return self._epochs()

    def _epochs(self, sha256: str = "") -> list[dict[str, Any]]:
        path, phases = self.path / "history.jsonl", len(self.recipe.phases)
        epochs = self.records.lines(path.name, sha256=sha256)
        if [line["epoch"] for line in epochs] != list(range(1, len(epochs) + 1)):
            raise DamagedError(path, "an epoch is missing or twice there")
        if any(line["phase"] >= phases for line in epochs):
            raise DamagedError(path, f"it has an epoch of a phase beyond the recipe's {phases}")
        return epochs

    def history(self) -> pd.DataFrame:
        """The epochs as a tidy frame with HISTORY_COLUMNS.

        Raises:
            StoreError: for a run that is damaged.
        """
        import pandas as pd  # half a second that who only runs or reads pictures need not wait

        named = {"study": self.study.id, "arm": self.arm, "seed": self.pair, "run": self.id}
        rows = [
            {**named, "cold_seconds": epoch.get("seconds"), "shared": "", **epoch}
            for epoch in self.facts().epochs
        ]
        return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))

    def best(self) -> Best | None:
        """The best validation accuracy with its epoch; None before the first epoch."""
        return best_of([epoch["val_accuracy"] for epoch in self.epochs()])

    def probabilities(self) -> dict[str, np.ndarray]:
        """`validation`: probabilities (n, classes) float16; `validation_labels` and
        `validation_indices` (n,) into the dataset's published array.

        Raises:
            StoreError: before the run has finished, or where they are not what was written.
        """
        arrays = self._probabilities()
        return {name: array for name, array in arrays.items() if not name.startswith("test")}

    def _probabilities(self) -> dict[str, np.ndarray]:
        path = self.path / "probabilities.npz"
        scores = self.scores
        if not scores:
            raise StoreError(f"Run {self.id} has no probabilities yet: it is {self.state.value}.")
        return record_files.read_arrays(path, scores.get("files", {}).get(path.name, ""))

    def answer(self, kind: Evaluation) -> dict[str, Any] | None:
        """What it said when it was asked after training; None where it was not asked.

        Raises:
            DamagedError: where it is not what was written.
        """
        said = evaluation_results.answer(self, kind)
        return self._earlier_test() if said is None and kind is Evaluation.TEST else said

    def test_scores(self) -> dict[str, Any] | None:
        """Counts, loss, accuracy and confusion of the test split; None while it is locked."""
        return self.answer(Evaluation.TEST)

    def test_probabilities(self) -> dict[str, np.ndarray] | None:
        """Of the test split: `probabilities` (n, classes) float16, `labels` and `indices` (n,);
        None while it is locked.

        Raises:
            DamagedError: where they are not what was written.
        """
        if arrays := evaluation_results.arrays(self, Evaluation.TEST):
            return arrays
        if self._earlier_test() is None:
            return None
        names = {"probabilities": "test", "labels": "test_labels", "indices": "test_indices"}
        kept = self._probabilities()
        return {name: kept[earlier] for name, earlier in names.items()}

    def _earlier_test(self) -> dict[str, Any] | None:
        """What a version measured that did so at the end of each run."""
        if not self._has("scores.json"):
            return None
        return self._read("scores.json").get("splits", {}).get("test")

    def log_tail(self, lines: int = 40) -> str:
        """The end of the log."""
        try:
            with os.fdopen(atomic.open_file(self.path / "log.txt", os.O_RDONLY), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
                text = file.read().decode(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    @property
    def keras_file(self) -> Path | None:
        """The finished run's model.keras; None until then."""
        path = self.path / "model.keras"
        return path if os.path.isfile(path) else None

    def model_bytes(self, suffix: str) -> bytes:
        """What model.keras or model.h5 holds.

        Raises:
            DamagedError: for a file that is missing or not what was written.
        """
        path = self.path / f"model.{suffix}"
        known = self.outcome.get("files", {})
        return record_files.read_bytes(path, known.get(path.name, ""))

    @property
    def h5_file(self) -> Path | None:
        """The model as model.h5; None unless somebody asked for it."""
        path = self.path / "model.h5"
        return path if os.path.isfile(path) else None

    def bytes_on_disk(self) -> int:
        """What the run takes, in bytes."""
        size = 0
        for folder, _, names in os.walk(self.path):
            for name in names:
                with contextlib.suppress(OSError):
                    size += os.lstat(os.path.join(folder, name)).st_size
        return size

    def checkpoint(self) -> Checkpoint | None:
        """The last committed state; None before the first epoch.

        Raises:
            DamagedError: where a file is missing or does not match its sha256.
        """
        return checkpoint.read(self.records)

    def model_arrays(self) -> dict[str, np.ndarray]:
        """All variables of the model at the last committed epoch, in the model's order.

        Raises:
            StoreError: where there is none or it does not match its sha256.
        """
        arrays = checkpoint.read_model(self.records)
        if arrays is None:
            raise StoreError(f"Run {self.id} has no trained model yet: it is {self.state.value}.")
        return arrays

    # What people ask for.

    def request_stop(self) -> None:
        """Ask the worker to stop at its next batch; a run that no process trains stops at once.

        Raises:
            StoreError: for a run that is over.
        """
        state = self.state
        if state.is_over:
            raise StoreError(f"Run {self.id} cannot be stopped: it is {state.value} already.")
        self._intend("stop")
        with self.hold() as ours:
            if ours:  # else its process sees the stop before its next batch
                atomic.remove(self.path / "queued")

    def enqueue(self) -> None:
        """Let it be trained, from its last committed epoch if there is one; a damaged run begins
        again, with what is damaged set aside in its folder quarantine/.

        Raises:
            StoreError: for a run that is queued, running or finished.
        """
        with self.hold() as ours:
            state = self._held_state() if ours else RunState.RUNNING
            if not state.is_resumable:
                raise StoreError(f"Run {self.id} cannot be resumed: it is {state.value}.")
            _ = self.recipe  # where that is damaged, nothing can begin again
            self._intend("queued")  # first of all: a full disk refuses it and changes nothing
            if state is RunState.DAMAGED:
                self._set_aside()
            atomic.remove(self.path / "stop")
            atomic.remove(self.path / "outcome.json")

    def hold(self) -> AbstractContextManager[Holding | None]:
        """Hold the run for a block, which gets None where another process trains it.

        Raises:
            StoreError: where the run is gone.
        """
        if not self.path.is_dir():
            raise StoreError(f"There is no run {self.id} any more: somebody deleted it.")
        return hold(lease_of(self.path / "lock"))

    @property
    def is_queued(self) -> bool:
        """Whether it waits for a worker."""
        return self._has("queued")

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop."""
        return self._has("stop")

    def _intend(self, intent: str) -> None:
        try:
            atomic.touch(self.path / intent)
        except FileNotFoundError:
            raise StoreError(f"There is no run {self.id} any more: somebody deleted it.") from None
        except atomic.NoFileError as error:
            raise DamagedError(self.path / intent, error.what) from error

    @staticmethod
    def _living(beat: Heartbeat | None, facts: Facts | None) -> Observation:
        """Of a run that a process holds."""
        if beat and beat.is_silent:
            sentence = f"Its process lives, and gave no sign of life for {beat.age:.0f} s."
            return Observation(RunState.NOT_RESPONDING, sentence, facts)
        if beat and "paused" in beat.progress:
            return Observation(RunState.PAUSED, beat.progress["paused"], facts)
        return Observation(RunState.RUNNING, "", facts)

    def _resting(self, queued: bool, facts: Facts) -> Observation:
        """Of a sound run that no process holds."""
        if queued:
            return Observation(RunState.QUEUED, "", facts)
        if outcome := facts.outcome:
            return Observation(RunState(outcome["state"]), outcome["sentence"], facts)
        if self.stop_requested:
            sentence = "Stopped while no process trained it."
            return Observation(RunState.STOPPED, sentence, facts)
        return Observation(RunState.INTERRUPTED, "", facts)

    def waits(self) -> bool:
        """Whether the holder of its lock, which is this process, should train it."""
        return self._held_state().is_waiting

    def _held_state(self) -> RunState:
        """Its state but for the lock, which this process holds."""
        queued = self.is_queued
        try:
            return self._resting(queued, self.facts()).state
        except StoreError:
            return RunState.DAMAGED

    def _set_aside(self) -> None:
        """Move what its processes wrote into quarantine/; the caller holds the lock."""
        quarantine = self.path / QUARANTINE
        if os.path.lexists(quarantine) and not quarantine.is_dir():
            raise DamagedError(quarantine, "it is not a folder")
        # The manifest last: without it, whoever dies in between would leave a run that looks new.
        for path in sorted(self.path.iterdir(), key=lambda path: path.name == checkpoint.MANIFEST):
            kept = path.name in KEPT_ON_RESTART and path.is_file()
            if not kept and path.name != QUARANTINE:
                atomic.set_aside(path, quarantine)

    def _read(self, name: str) -> dict[str, Any]:
        return self.records.read(name)


def best_of(accuracies: Sequence[float]) -> Best | None:
    """The highest of the accuracies after each epoch; None before the first."""
    if not accuracies:
        return None
    top = max(accuracies)
    return Best(top, accuracies.index(top) + 1)


@lru_cache(maxsize=20_000)
def _numbers(name: str) -> tuple[int, int]:
    """(arm, pair) of a run's folder, both 1-based."""
    arm, _, pair = name.removeprefix("arm").partition("-pair")
    return int(arm), int(pair)
