"""Where it is kept: RunStore, StudyFolder, Run; the only file that knows the names under runs/.

    runs/<study id>/study.json        what was asked; immutable
                    label.json        title and note, as people last edited them (may be missing)
                    <run id>/         arm1-pair01, arm2-pair01 ...
      recipe.json         recipe, arm, pair, seeds, threads, versions: immutable
      queued              exists while the run waits for a worker
      lock                held by the living worker
      stop                exists once somebody asked the run to stop
      progress.json       where the worker is; rewritten about once a second
      environment.json    machine, device, data fingerprint: what the worker met
      history.jsonl       a line per epoch
      checkpoint.json     names the files of the last committed epoch; its rename is the commit
      model-*.npz         all variables of the model, by index
      optimizer-*.npz     all variables of the optimizer, likewise (gone once finished)
      probabilities.npz   float16 class probabilities of every validation and test image
      scores.json         counts, losses and confusions per split, audit and timings per phase
      model.keras         the model for Keras, preprocessing inside; model.h5 if asked for
      log.txt             standard output and error of the run's process
      outcome.json        how it ended; missing while it has not
    runs/measurements.jsonl           how long steps take on this machine
    runs/worker.lock, slot.lock, worker.txt

A missing file has a meaning and the meaning stands above. Every file has one writer: the app
writes study.json, label.json, recipe.json, queued and stop; the worker writes the rest.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import platform
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import pandas as pd

from tl_engine import fsio, locks
from tl_engine.errors import RecipeError, StoreError
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import MAXIMUM_NAME, Seeds, Study

VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy")
MAXIMUM_NOTE = 5000
HISTORY_COLUMNS = (
    "study",
    "arm",
    "seed",
    "run",
    "phase",
    "trainable",
    "epoch",
    "learning_rate",
    "seconds",
    "images",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
)


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


class Checkpoint(NamedTuple):
    """The state at the end of the last committed epoch (1-based, continuous over phases)."""

    epoch: int
    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]


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
        return _read_json(self.path / "recipe.json", required=True)

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
        return _read_json(self.path / "outcome.json")

    @property
    def progress(self) -> dict[str, Any]:
        """Where the worker is: stage, phase, epoch, step, steps, fraction, seconds_left."""
        return _read_json(self.path / "progress.json")

    @property
    def environment(self) -> dict[str, Any]:
        """Machine, device and data fingerprint, as the worker met them."""
        return _read_json(self.path / "environment.json")

    @property
    def scores(self) -> dict[str, Any]:
        """Counts, losses and confusions per split, audit and timings; empty until finished."""
        return _read_json(self.path / "scores.json")

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
        old = _read_json(self.path / "checkpoint.json")
        files = {"model": model, "optimizer": optimizer}
        entries = {}
        for kind, arrays in files.items():
            name = f"{kind}-{epoch:04d}.npz"
            fsio.write_arrays(self.path / name, arrays)
            entries[kind] = {"file": name, "sha256": sha256_of(self.path / name)}
        fsio.write_json(self.path / "checkpoint.json", {"epoch": epoch, "files": entries})
        current = {entry["file"] for entry in entries.values()}
        for entry in old.get("files", {}).values():
            if entry["file"] not in current:
                fsio.remove(self.path / entry["file"])

    def checkpoint(self) -> Checkpoint | None:
        """The last committed state; None before the first epoch.

        Raises:
            StoreError: where a file is missing or does not match its sha256.
        """
        manifest = _read_json(self.path / "checkpoint.json")
        if not manifest:
            return None
        return Checkpoint(
            manifest["epoch"], self._arrays(manifest, "model"), self._arrays(manifest, "optimizer")
        )

    def model_arrays(self) -> dict[str, np.ndarray]:
        """All variables of the model at the last committed epoch, in the model's order.

        Raises:
            StoreError: where there is none or it does not match its sha256.
        """
        manifest = _read_json(self.path / "checkpoint.json")
        if not manifest:
            raise StoreError(f"Run {self.id} has no trained model yet: it is {self.state.value}.")
        return self._arrays(manifest, "model")

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
        RunStore(self.study.path.parent).add_measurement(measurement)

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
                "ended": _now(),
                "seconds": round(seconds, 3),
            },
        )
        if state is RunState.FINISHED:
            self._drop_optimizer()

    def open_log(self) -> IO[bytes]:
        """The log, to append to."""
        return fsio.open_log(self.path / "log.txt")

    def _drop_optimizer(self) -> None:
        manifest = _read_json(self.path / "checkpoint.json")
        entry = manifest.get("files", {}).pop("optimizer", None)
        if entry:
            fsio.write_json(self.path / "checkpoint.json", manifest)
            fsio.remove(self.path / entry["file"])

    def _arrays(self, manifest: dict[str, Any], kind: str) -> dict[str, np.ndarray]:
        entry = manifest["files"].get(kind)
        if entry is None:
            return {}
        path = self.path / entry["file"]
        if not path.exists() or sha256_of(path) != entry["sha256"]:
            raise StoreError(
                f"The checkpoint of run {self.id} is damaged: {entry['file']} is missing or is "
                "not what was written."
            )
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


class StudyFolder:
    """A study in its store: what was asked, what people call it, and its runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name

    @cached_property
    def _asked(self) -> dict[str, Any]:
        return _read_json(self.path / "study.json", required=True)

    @cached_property
    def study(self) -> Study:
        """What was asked.

        Raises:
            StoreError: where study.json cannot be read.
        """
        try:
            return Study.from_dict(self._asked["study"])
        except (RecipeError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(f"Study {self.id} cannot be read: {error}") from error

    @property
    def created(self) -> datetime:
        """When it was launched, in local time with its zone."""
        return datetime.fromisoformat(self._asked["created"])

    @property
    def title(self) -> str:
        """What people call it now."""
        return _read_json(self.path / "label.json").get("title", self.study.title)

    @property
    def note(self) -> str:
        """What people wrote about it."""
        return _read_json(self.path / "label.json").get("note", "")

    def label(self, title: str | None = None, note: str | None = None) -> None:
        """Rename it or change its note; None leaves either as it is.

        Raises:
            StoreError: for a title or note that is too long, or an empty title.
        """
        title, note = self.title if title is None else title.strip(), note
        if not 1 <= len(title) <= MAXIMUM_NAME:
            raise StoreError(f"A title has 1 to {MAXIMUM_NAME} characters, got {len(title)}.")
        note = self.note if note is None else note
        if len(note) > MAXIMUM_NOTE:
            raise StoreError(f"A note has at most {MAXIMUM_NOTE:,} characters, got {len(note):,}.")
        fsio.write_json(self.path / "label.json", {"title": title, "note": note})

    def runs(self) -> list[Run]:
        """Its runs, pair by pair."""
        return [
            self.run(_run_name(arm, pair))
            for arm, pair in self.study.runs()
            if (self.path / _run_name(arm, pair)).is_dir()
        ]

    def run(self, name: str) -> Run:
        """The run of that name.

        Raises:
            StoreError: where there is none.
        """
        path = self.path / name
        if name != Path(name).name or not (path / "recipe.json").exists():
            raise StoreError(f"Study {self.id} has no run {name!r}.")
        return Run(path, self)


class RunStore:
    """The folder of all studies."""

    def __init__(self, root: Path | str = "runs") -> None:
        self.root = Path(root).resolve()
        fsio.make_folder(self.root)

    def create(self, study: Study, *, threads: int | None = None) -> StudyFolder:
        """Write a study with its runs, each queued.

        Args:
            threads: that TensorFlow may use; None means as many as there are cores.
        """
        now = datetime.now().astimezone()
        path = self.root / f"{now:%Y%m%d-%H%M%S}-{_sayable()}"
        shared = {"threads": threads or os.cpu_count() or 1, "versions": versions()}

        def fill(folder: Path) -> None:
            asked = {"study": study.to_dict(), "created": now.isoformat(timespec="seconds")}
            fsio.write_json(folder / "study.json", asked)
            for arm, pair in study.runs():
                run = folder / _run_name(arm, pair)
                fsio.make_folder(run)
                fsio.write_json(
                    run / "recipe.json",
                    {
                        "recipe": study.arms[arm].recipe.to_dict(),
                        "arm": study.arms[arm].name,
                        "pair": pair,
                        "seeds": Seeds.of_pair(pair)._asdict(),
                        **shared,
                    },
                )
                fsio.touch(run / "queued")

        fsio.publish_folder(path, fill)
        return StudyFolder(path)

    def studies(self) -> list[StudyFolder]:
        """The readable studies, newest first."""
        return [study for study in self._folders() if _is_readable(study)]

    def unreadable(self) -> list[StudyFolder]:
        """Folders that look like studies and cannot be read; never deleted, never hiding others."""
        return [study for study in self._folders() if not _is_readable(study)]

    def study(self, study_id: str) -> StudyFolder:
        """The study of that id.

        Raises:
            StoreError: where there is none.
        """
        path = self.root / study_id
        if study_id != Path(study_id).name or not (path / "study.json").exists():
            raise StoreError(f"There is no study {study_id!r} in {self.root}.")
        return StudyFolder(path)

    def run(self, run_id: str) -> Run:
        """The run of that id, "<study>/<run>".

        Raises:
            StoreError: where there is none.
        """
        study_id, _, name = run_id.partition("/")
        return self.study(study_id).run(name)

    def runs(self) -> Iterator[Run]:
        """All runs of all readable studies, newest study first."""
        for study in self.studies():
            yield from study.runs()

    def select(self, ids: Iterable[str]) -> list[Run]:
        """The runs that ids of studies and of runs name, each once, in that order.

        Raises:
            StoreError: for an id that is not there.
        """
        chosen = {
            run.id: run
            for wanted in ids
            for run in ([self.run(wanted)] if "/" in wanted else self.study(wanted).runs())
        }
        return list(chosen.values())

    def next_queued(self) -> Run | None:
        """The run to train next: oldest study first, pair by pair."""
        for study in reversed(self.studies()):
            for run in study.runs():
                if run.is_queued:
                    return run
        return None

    def delete(self, study_id: str) -> None:
        """Delete a study with all its runs.

        Raises:
            StoreError: while one of its runs is running.
        """
        study = self.study(study_id)
        if any(run.state is RunState.RUNNING for run in study.runs()):
            raise StoreError(f"{study.title} is running: stop it first, then delete it.")
        fsio.delete_folder(study.path)

    def worker_lock(self) -> AbstractContextManager[bool]:
        """Held by the one worker that drains this store's queue."""
        return locks.hold(self.root / "worker.lock")

    def worker_lives(self) -> bool:
        """Whether a worker drains this store's queue."""
        return locks.is_held(self.root / "worker.lock")

    def slot(self) -> AbstractContextManager[bool]:
        """Held by the one process that trains; waits until it is free."""
        return locks.hold(self.root / "slot.lock", wait=True)

    def open_worker_log(self) -> IO[bytes]:
        """Standard output and error of workers, to append to."""
        return fsio.open_log(self.root / "worker.txt")

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Keep how long steps took on this machine."""
        fsio.append_line(self.root / "measurements.jsonl", measurement)

    def measurements(self) -> list[dict[str, Any]]:
        """All measurements, oldest first; damaged lines are passed over, they are only a cache."""
        try:
            lines = (self.root / "measurements.jsonl").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in map(_json_or_none, lines) if isinstance(line, dict)]

    def measuring(self) -> AbstractContextManager[bool]:
        """Held by the one process that measures."""
        return locks.hold(self.root / "measure.lock")

    def is_measuring(self) -> bool:
        """Whether a process measures right now."""
        return locks.is_held(self.root / "measure.lock")

    def _folders(self) -> Iterator[StudyFolder]:
        for path in sorted(self.root.iterdir(), reverse=True):
            if path.is_dir() and not path.name.startswith("."):
                yield StudyFolder(path)


def joined_history(runs: Iterable[Run]) -> pd.DataFrame:
    """The histories of several runs in one tidy frame; empty, with its columns, for none."""
    frames = [frame for run in runs if not (frame := run.history()).empty]
    if not frames:
        return pd.DataFrame(columns=list(HISTORY_COLUMNS))
    return pd.concat(frames, ignore_index=True)


def versions() -> dict[str, str]:
    """Versions that can change a run's bits; read without importing the packages."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONED_PACKAGES},
    }


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def epoch_line(
    epoch: int, phase_index: int, phase: Phase, measured: dict[str, float]
) -> dict[str, Any]:
    """A history line: where the epoch stands, and what was measured in it."""
    return {
        "epoch": epoch,
        "phase": phase_index,
        "trainable": phase.trainable_label,
        "learning_rate": phase.learning_rate,
        **measured,
    }


def _run_name(arm: int, pair: int) -> str:
    return f"arm{arm + 1}-pair{pair:02d}"


def _sayable() -> str:
    """Four letters and digits, without those that are mistaken for one another."""
    return "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4))


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _is_readable(study: StudyFolder) -> bool:
    try:
        _ = study.study, study.created
    except (StoreError, ValueError, KeyError):
        return False
    return True


def _read_json(path: Path, *, required: bool = False) -> dict[str, Any]:
    """A JSON object; empty where the file is missing and may be."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        if required:
            raise StoreError(f"{path.parent.name} has no {path.name}.") from None
        return {}
    except ValueError as error:
        raise StoreError(f"{path.parent.name}/{path.name} is damaged: {error}.") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path.parent.name}/{path.name} is damaged: it is no JSON object.")
    return value


def _json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
