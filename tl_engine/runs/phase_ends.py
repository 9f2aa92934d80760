"""The ends of phases: states of a run, cached for other runs that begin with the same phases.

Runs that agree up to the end of a phase form a tree: the first run that reaches a node computes the
state there for all runs below. A node's name covers everything that decides the state's bits and is
known before training; the rest (machine, images) is compared when the state is found.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine import machine
from tl_engine.recipe import Recipe
from tl_engine.runs.layout import PhaseEndFacts
from tl_engine.storage import atomic
from tl_engine.storage.cache import Cache
from tl_engine.study import Seeds

KIND = "phase-end"


class PhaseEnd(NamedTuple):
    """The state at the end of a phase.

    Attributes:
        run: id of the run that computed it.
        lines, phases: the history, and the timings and audits of the phases, up to there.
        environment: machine, device, versions and data fingerprint.
        files: the checkpoint's files in `folder`, by kind: `file` and `sha256`.
    """

    run: str
    lines: list[dict[str, Any]]
    phases: list[dict[str, Any]]
    environment: dict[str, Any]
    files: dict[str, dict[str, str]]
    folder: Path


def name_of(recipe: Recipe, phases: int, seeds: Seeds, threads: int) -> str:
    """The name, 32 hex digits, of the state after the recipe's first `phases` phases."""
    decisive = {
        "recipe": {**recipe.stem(phases).to_dict(), "train_images": recipe.training_images},
        "seeds": seeds,
        "threads": threads,
        "versions": machine.versions(),
    }
    return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:32]


def names_of(recipe: Recipe, pair: int, threads: int) -> list[str]:
    """The names of the ends of all its phases, first to last."""
    seeds = Seeds.of_pair(pair)
    return [name_of(recipe, n + 1, seeds, threads) for n in range(len(recipe.phases))]


def put(cache: Cache, name: str, end: PhaseEnd) -> None:
    """Cache a state, unless one that was computed in the same environment is cached already;
    OSError where the disk is full or refuses."""
    if find(cache, name, end.environment):
        return

    def fill(folder: Path) -> None:
        for entry in end.files.values():
            atomic.link(end.folder / entry["file"], folder / entry["file"])

    facts = end._asdict()
    del facts["folder"]
    cache.put(KIND, name, facts, fill)


def find(cache: Cache, name: str, environment: Mapping[str, Any]) -> PhaseEnd | None:
    """A cached state that was computed in the same environment: computing it again would give the
    same bits."""
    for path, facts in cache.entries(KIND, name, PhaseEndFacts):
        if facts["environment"] == environment:
            stored = {name: facts[name] for name in PhaseEnd._fields if name != "folder"}
            return PhaseEnd(**stored, folder=path)
    return None
