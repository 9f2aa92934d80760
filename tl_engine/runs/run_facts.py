"""What a run's files say, read together and checked against one another."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine.errors import DamagedError
from tl_engine.runs.layout import CHECKPOINT, ENVIRONMENT, RUN_FILES
from tl_engine.storage import reading
from tl_engine.storage.record_files import Records


class Facts(NamedTuple):
    """What a run's files say.

    Attributes:
        outcome: how it ended; see `Run.outcome`.
        epochs: the lines of its history, oldest first.
        scores: see `Run.scores`.
        environments: see `Run.environments`.
    """

    outcome: dict[str, Any]
    epochs: list[dict[str, Any]]
    scores: dict[str, Any]
    environments: list[dict[str, Any]]


def read_facts(records: Records, phases: int) -> Facts:
    """The facts of a run.

    Args:
        phases: how many its recipe has.

    Raises:
        DamagedError: for the first file that is missing or not what was written.
    """
    names = _names_in(records.folder)
    outcome = records.read("outcome.json")
    files = outcome.get("files", {})
    # Before the epochs, which a running process writes first.
    manifest = records.read(CHECKPOINT, sha256=files.get(CHECKPOINT, ""))
    facts = Facts(
        outcome,
        read_epochs(records, phases, files.get("history.jsonl", "")),
        records.read("scores.json", sha256=files.get("scores.json", "")),
        read_environments(records, files.get(ENVIRONMENT, "")),
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
    epochs = records.lines("history.jsonl", sha256=sha256)
    path = records.folder / "history.jsonl"
    if [line["epoch"] for line in epochs] != list(range(1, len(epochs) + 1)):
        raise DamagedError(path, "an epoch is missing or twice there")
    if any(line["phase"] >= phases for line in epochs):
        raise DamagedError(path, f"it has an epoch of a phase beyond the recipe's {phases}")
    return epochs


def read_environments(records: Records, sha256: str = "") -> list[dict[str, Any]]:
    """The environments of a run's processes; arguments and errors as those of `read_epochs`."""
    return records.read(ENVIRONMENT, sha256=sha256).get("met", [])


def _check_epochs(folder: Path, epochs: list[dict[str, Any]], committed: int) -> None:
    if len(epochs) < committed:
        found = f"it has {len(epochs)} of {committed} epochs"
        raise DamagedError(folder / "history.jsonl", found)
    # Each epoch is committed before the next begins, but those of another run all at once.
    uncommitted = epochs[committed:]
    if len(uncommitted) > 1 and not all("shared" in line for line in uncommitted):
        found = f"it has {committed} of {len(epochs)} epochs"
        raise DamagedError(folder / CHECKPOINT, found)


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


def _names_in(folder: Path) -> set[str]:
    """What lies in a run's folder.

    Raises:
        DamagedError: where something that is no file has the name of one of its files.
    """
    names = set()
    for entry in reading.names_in(folder):
        names.add(entry.name)
        if entry.name in RUN_FILES:
            reading.require_file(entry)
    return names
