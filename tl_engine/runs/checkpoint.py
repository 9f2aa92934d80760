"""Checkpoints: files named by a manifest whose rename is the commit."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tl_engine import fsio
from tl_engine.runs import files

MANIFEST = "checkpoint.json"
MODEL, FREE, OPTIMIZER = "model", "free", "optimizer"
KINDS = (MODEL, FREE, OPTIMIZER)


class Checkpoint(NamedTuple):
    """The state that a run goes on from.

    Attributes:
        epoch: epochs that are complete (continuous over phases).
        step: batches of the next epoch that are done; 0 at the end of an epoch.
        model, optimizer: all variables, by index; seed-generator states are among the model's.
        notes: what the trainer has to remember besides, as JSON.
        partial: when committed: `model` holds only the variables that may have changed since the
            last commit that held all, and the others are not written again. When read: it was
            committed so; `model` holds all.
    """

    epoch: int
    step: int
    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]
    notes: dict[str, Any]
    partial: bool = False


def commit(folder: Path, state: Checkpoint) -> None:
    """Make this the state to go on from, then drop the one before."""
    entries = {}
    kinds = {FREE if state.partial else MODEL: state.model, OPTIMIZER: state.optimizer}
    if state.partial:
        entries[MODEL] = files.read_json(folder / MANIFEST, sealed=False)["files"][MODEL]
    for kind, arrays in kinds.items():
        path = folder / f"{kind}-{state.epoch:04d}-{state.step:06d}.npz"
        fsio.write_arrays(path, arrays)
        entries[kind] = {"file": path.name, "sha256": files.sha256_of(path)}
    _write(folder, state.epoch, state.step, state.notes, entries)


def adopt(
    folder: Path, source: Path, epoch: int, notes: dict[str, Any], entries: dict[str, Any]
) -> None:
    """Make the state that files of another folder hold the one to go on from.

    Args:
        entries: those files, by kind: `file` and `sha256`.
    """
    for entry in entries.values():
        fsio.remove(folder / entry["file"])
        fsio.link(source / entry["file"], folder / entry["file"])
    _write(folder, epoch, 0, notes, entries)


def recover(folder: Path, *, sealed: bool = True) -> None:
    """Remove what a process left that died between two commits; the caller holds the lock."""
    fsio.sweep(folder, live=False)
    _clean(folder, files.read_json(folder / MANIFEST, sealed=sealed))


def position(folder: Path, *, sealed: bool = True) -> tuple[int, int]:
    """(epoch, step) of the last commit; (0, 0) before the first.

    Raises:
        DamagedError: where the manifest is not what was written.
    """
    manifest = files.read_json(folder / MANIFEST, sealed=sealed)
    return manifest.get("epoch", 0), manifest.get("step", 0)


def read(folder: Path, *, sealed: bool = True) -> Checkpoint | None:
    """The last committed state; None before the first epoch.

    Raises:
        DamagedError: where a file is missing or does not match its sha256.
    """
    manifest = files.read_json(folder / MANIFEST, sealed=sealed)
    if not manifest:
        return None
    model = model_in(folder, manifest["files"])
    optimizer = _arrays(folder, manifest["files"], OPTIMIZER)
    notes = manifest.get("notes", {})
    step, partial = manifest.get("step", 0), FREE in manifest["files"]
    return Checkpoint(manifest["epoch"], step, model, optimizer, notes, partial)


def read_model(folder: Path, *, sealed: bool = True) -> dict[str, np.ndarray] | None:
    """The model's variables alone; otherwise as `read`."""
    manifest = files.read_json(folder / MANIFEST, sealed=sealed)
    return model_in(folder, manifest["files"]) if manifest else None


def model_in(folder: Path, entries: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The model's variables that files of a folder hold; errors as those of `read`.

    Args:
        entries: those files, by kind: `file` and `sha256`.
    """
    return {**_arrays(folder, entries, MODEL), **_arrays(folder, entries, FREE)}


def drop_optimizer(folder: Path, *, sealed: bool = True) -> None:
    """Forget the optimizer's variables, which nobody needs once a run is finished."""
    manifest = files.read_json(folder / MANIFEST, sealed=sealed)
    if manifest.get("files", {}).pop(OPTIMIZER, None):
        files.write_json(folder / MANIFEST, manifest)
    _clean(folder, manifest)


def _write(
    folder: Path, epoch: int, step: int, notes: dict[str, Any], entries: Mapping[str, Any]
) -> None:
    manifest = {"epoch": epoch, "step": step, "notes": notes, "files": dict(entries)}
    files.write_json(folder / MANIFEST, manifest)
    _clean(folder, manifest)


def _arrays(folder: Path, entries: Mapping[str, Any], kind: str) -> dict[str, np.ndarray]:
    entry = entries.get(kind)
    if entry is None:
        return {}
    path = folder / entry["file"]
    files.check_sha256(path, entry["sha256"])
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _clean(folder: Path, manifest: dict[str, Any]) -> None:
    named = {entry["file"] for entry in manifest.get("files", {}).values()}
    for kind in KINDS:
        for path in folder.glob(f"{kind}-*.npz"):
            if path.name not in named:
                fsio.remove(path)
