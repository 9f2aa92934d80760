"""Checkpoints: files of arrays, named by a manifest whose rename is the commit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tl_engine.runs.layout import CHECKPOINT, ENVIRONMENT
from tl_engine.storage import atomic, reading
from tl_engine.storage.record_files import Records

MODEL, FREE, OPTIMIZER = "model", "free", "optimizer"


class Checkpoint(NamedTuple):
    """The state that a run continues from.

    Attributes:
        epoch: epochs that are complete (continuous over phases).
        step: batches of the next epoch that are done; 0 at the end of an epoch.
        model, optimizer: all variables, by index; seed-generator states are among the model's.
        notes: other state of the trainer, as JSON.
        partial: when committed, `model` holds only the variables that may have changed since the
            last commit of all, and the others are not written again. When read, `model` holds all
            variables, and `partial` says how they were committed.
    """

    epoch: int
    step: int
    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    notes: dict[str, Any]
    partial: bool = False


def commit(records: Records, state: Checkpoint, lease: str = "") -> None:
    """Make this the state to continue from, then delete the one before; `lease` is the token of the
    holding (`Holding.token`) under which it is committed."""
    entries, folder = {}, records.folder
    kinds = {FREE if state.partial else MODEL: state.model, OPTIMIZER: state.optimizer}
    if state.partial:
        entries[MODEL] = records.read(CHECKPOINT)["files"][MODEL]
    for kind, arrays in kinds.items():
        path = folder / f"{kind}-{state.epoch:04d}-{state.step:06d}.npz"
        atomic.write_arrays(path, arrays)
        entries[kind] = {"file": path.name, "sha256": reading.sha256_of(path)}
    _write(records, lease, epoch=state.epoch, step=state.step, notes=state.notes, files=entries)


def adopt(
    records: Records,
    source: Path,
    epoch: int,
    notes: dict[str, Any],
    entries: dict[str, Any],
    lease: str = "",
) -> None:
    """Make a state whose files lie in another folder the one to continue from; `entries` are those
    of its manifest (`file` and `sha256` by kind), `lease` is that of `commit`."""
    for entry in entries.values():
        atomic.remove(records.folder / entry["file"])
        atomic.link(source / entry["file"], records.folder / entry["file"])
    _write(records, lease, epoch=epoch, step=0, notes=notes, files=entries)


def recover(records: Records) -> None:
    """Remove the files of a process that died between two commits; the caller holds the lock."""
    atomic.sweep(records.folder, live=False)
    _clean(records.folder, records.read(CHECKPOINT))


def position(records: Records) -> tuple[int, int]:
    """(epoch, step) of the last commit; (0, 0) before the first. Errors as those of `read`."""
    manifest = records.read(CHECKPOINT)
    return manifest.get("epoch", 0), manifest.get("step", 0)


def read(records: Records) -> Checkpoint | None:
    """The last committed state; None before the first commit.

    Raises:
        DamagedError: where a file is missing or does not match its sha256.
    """
    manifest = records.read(CHECKPOINT)
    if not manifest:
        return None
    model = model_in(records.folder, manifest["files"])
    optimizer = _arrays(records.folder, manifest["files"], OPTIMIZER)
    partial = FREE in manifest["files"]
    epoch, step, notes = (manifest[name] for name in ("epoch", "step", "notes"))
    return Checkpoint(epoch, step, model, optimizer, notes, partial)


def model_in(folder: Path, entries: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The model's variables from the files in a folder; `entries` as those of `adopt`, errors as
    those of `read`."""
    return _arrays(folder, entries, MODEL) | _arrays(folder, entries, FREE)


def drop_optimizer(records: Records) -> None:
    """Delete the optimizer's variables, which a finished run does not need."""
    manifest = records.read(CHECKPOINT)
    if manifest.get("files", {}).pop(OPTIMIZER, None):
        records.write(CHECKPOINT, manifest)
    _clean(records.folder, manifest)


def _write(records: Records, lease: str, **manifest: Any) -> None:
    if lease:
        manifest["lease"] = lease
    # A run that loses the file later must not look as if one machine had trained it.
    manifest["environment"] = os.path.lexists(records.folder / ENVIRONMENT)
    records.write(CHECKPOINT, manifest)
    _clean(records.folder, manifest)


def _arrays(folder: Path, entries: Mapping[str, Any], kind: str) -> dict[str, np.ndarray]:
    entry = entries.get(kind)
    return reading.read_arrays(folder / entry["file"], entry["sha256"]) if entry else {}


def _clean(folder: Path, manifest: dict[str, Any]) -> None:
    named = {entry["file"] for entry in manifest.get("files", {}).values()}
    for kind in (MODEL, FREE, OPTIMIZER):
        for path in folder.glob(f"{kind}-*.npz"):
            if path.name not in named:
                atomic.remove(path)
