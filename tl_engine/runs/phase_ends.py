"""The states in which phases end, kept for other runs that begin with the same phases.

Runs that agree up to the end of a phase are a tree: whatever stands below a common node is
computed by the first run that gets there. A node's name tells all that decides its bits and is
known before training; what else decides them (machine, images) is compared when it is met.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tl_engine.recipe import Recipe
from tl_engine.runs import checkpoint
from tl_engine.storage import atomic, record_files
from tl_engine.storage.cache import Cache, Entry
from tl_engine.storage.record_files import Records
from tl_engine.study import Seeds

KIND = "phase-end"


class PhaseEnd(NamedTuple):
    """A state that a phase ended in.

    Attributes:
        run: id of the run that computed it.
        lines: its history up to there.
        phases: what is known of its phases: timings and audits.
        environment: machine, device, versions and data fingerprint.
        files: the checkpoint's files, by kind: `file` and `sha256`.
        folder: where they lie.
    """

    run: str
    lines: list[dict[str, Any]]
    phases: list[dict[str, Any]]
    environment: dict[str, Any]
    files: dict[str, dict[str, str]]
    folder: Path


def name_of(recipe: Recipe, phases: int, seeds: Seeds, threads: int) -> str:
    """The name, 32 hex digits, of the state after the recipe's first `phases` phases."""
    settings = {**recipe.stem(phases).to_dict(), "train_images": recipe.training_images}
    told = {
        "recipe": settings,
        "seeds": seeds,
        "threads": threads,
        "versions": record_files.versions(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]


def names_of(recipe: Recipe, pair: int, threads: int) -> list[str]:
    """The names of the ends of all its phases, first to last."""
    counts = range(1, len(recipe.phases) + 1)
    return [name_of(recipe, count, Seeds.of_pair(pair), threads) for count in counts]


def keep(cache: Cache, name: str, end: PhaseEnd) -> None:
    """Keep a state; does nothing where it is kept already, as computed in this environment.

    Raises:
        OSError: where the disk is full or refuses.
    """
    if find(cache, name, end.environment):
        return

    def fill(folder: Path) -> None:
        for entry in end.files.values():
            atomic.link(end.folder / entry["file"], folder / entry["file"])

    facts = end._asdict()
    del facts["folder"]
    cache.put(KIND, name, facts, fill)


def find(cache: Cache, name: str, environment: Mapping[str, Any]) -> PhaseEnd | None:
    """A kept state that was computed in the same environment, so that its bits are those that
    computing it again would give."""
    for entry in cache.entries(KIND, name):
        if entry.facts["environment"] == environment:
            return _of(entry)
    return None


def variables_of(end: PhaseEnd) -> dict[str, np.ndarray]:
    """The model's variables in that state, by index.

    Raises:
        DamagedError: where a file is gone or does not match its sha256.
    """
    return checkpoint.model_in(end.folder, end.files)


def of_run(records: Records, run: str, **known: Any) -> PhaseEnd:
    """The state that a run's last commit holds.

    Args:
        known: lines, phases and environment.
    """
    manifest = records.read(checkpoint.MANIFEST)
    kept = {kind: e for kind, e in manifest["files"].items() if kind != checkpoint.OPTIMIZER}
    return PhaseEnd(run=run, files=kept, folder=records.folder, **known)


def _of(entry: Entry) -> PhaseEnd:
    return PhaseEnd(**entry.facts, folder=entry.path)
