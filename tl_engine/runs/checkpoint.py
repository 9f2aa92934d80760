"""Checkpoints: files named by a manifest whose rename is the commit."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tl_engine import fsio
from tl_engine.errors import StoreError
from tl_engine.runs.files import read_json, sha256_of

MANIFEST = "checkpoint.json"


class Checkpoint(NamedTuple):
    """The state at the end of the last committed epoch (1-based, continuous over phases)."""

    epoch: int
    model: dict[str, np.ndarray]
    optimizer: dict[str, np.ndarray]


def commit(
    folder: Path, epoch: int, model: dict[str, np.ndarray], optimizer: dict[str, np.ndarray]
) -> None:
    """Make the end of `epoch` the state to go on from, and drop the one before."""
    old = read_json(folder / MANIFEST)
    entries = {}
    for kind, arrays in {"model": model, "optimizer": optimizer}.items():
        name = f"{kind}-{epoch:04d}.npz"
        fsio.write_arrays(folder / name, arrays)
        entries[kind] = {"file": name, "sha256": sha256_of(folder / name)}
    fsio.write_json(folder / MANIFEST, {"epoch": epoch, "files": entries})
    current = {entry["file"] for entry in entries.values()}
    for entry in old.get("files", {}).values():
        if entry["file"] not in current:
            fsio.remove(folder / entry["file"])


def read(folder: Path) -> Checkpoint | None:
    """The last committed state; None before the first epoch.

    Raises:
        StoreError: where a file is missing or does not match its sha256.
    """
    manifest = read_json(folder / MANIFEST)
    if not manifest:
        return None
    model, optimizer = (_arrays(folder, manifest, kind) for kind in ("model", "optimizer"))
    return Checkpoint(manifest["epoch"], model, optimizer)


def read_model(folder: Path) -> dict[str, np.ndarray] | None:
    """The model's variables alone; otherwise as `read`."""
    manifest = read_json(folder / MANIFEST)
    return _arrays(folder, manifest, "model") if manifest else None


def drop_optimizer(folder: Path) -> None:
    """Forget the optimizer's variables, which nobody needs once a run is finished."""
    manifest = read_json(folder / MANIFEST)
    entry = manifest.get("files", {}).pop("optimizer", None)
    if entry:
        fsio.write_json(folder / MANIFEST, manifest)
        fsio.remove(folder / entry["file"])


def _arrays(folder: Path, manifest: dict[str, Any], kind: str) -> dict[str, np.ndarray]:
    entry = manifest["files"].get(kind)
    if entry is None:
        return {}
    path = folder / entry["file"]
    if not path.exists() or sha256_of(path) != entry["sha256"]:
        raise StoreError(
            f"The checkpoint of run {folder.parent.name}/{folder.name} is damaged: "
            f"{entry['file']} is missing or is not what was written."
        )
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)
