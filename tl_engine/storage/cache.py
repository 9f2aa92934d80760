"""What was computed once and may be needed again; every entry can be deleted at any time.

    runs/.cache/<kind>-<key>-<four letters>/entry.json   facts, and the sha256 of each file
                                            ...          the files

Entries are written whole or not at all, by any process, and checked when they are read: what is
not what was written is dropped and computed anew. The oldest unused go first where there are
more bytes than THAW_CACHE_GB allows (4; 0 keeps nothing).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine.errors import StoreError
from tl_engine.runs.shapes import FACTS
from tl_engine.storage import atomic, record_files
from tl_engine.storage.memory import Kept

FOLDER = ".cache"
MANIFEST = "entry.json"
DEFAULT_GIGABYTES = 4.0


class Entry(NamedTuple):
    """A sound entry: its folder, and the facts that were written with it."""

    path: Path
    facts: dict[str, Any]


class Cache:
    """The entries of a store."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        """
        Args:
            root: the store's folder.
            limit: bytes that its entries may take together; None means THAW_CACHE_GB.
        """
        self._folder = root / FOLDER
        self._limit = _limit() if limit is None else limit

    def entries(self, kind: str, key: str) -> list[Entry]:
        """The sound entries of that kind and key, their files checked once in each process."""
        found = (self._open(path, kind) for path in sorted(self._folder.glob(f"{kind}-{key}-*")))
        return [entry for entry in found if entry]

    def facts(self, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, facts) of each entry of that kind, its files unchecked."""
        for path in self._folder.glob(f"{kind}-*"):
            with contextlib.suppress(FileNotFoundError, StoreError):  # dropped, or will be
                known = _facts.get(path, partial(_manifest, path, kind))
                yield path.name.split("-")[-2], known["facts"]

    def put(
        self,
        kind: str,
        key: str,
        facts: Mapping[str, Any],
        fill: Callable[[Path], object],
    ) -> Entry | None:
        """Keep what `fill` writes into a folder; None where nothing may be kept.

        Args:
            facts: kept beside the files; may be filled while `fill` runs.

        Raises:
            OSError: where the disk is full or refuses; nothing is kept then.
        """
        if self._limit <= 0:
            return None
        path = self._folder / f"{kind}-{key}-{secrets.token_hex(4)}"

        def fill_and_describe(folder: Path) -> None:
            fill(folder)
            kept = {file.name: record_files.sha256_of(file) for file in sorted(folder.iterdir())}
            record_files.write_json(folder / MANIFEST, {"facts": dict(facts), "files": kept})

        atomic.publish_folder(path, fill_and_describe)
        _checked.add(path)
        self._shrink(keep=path)
        return Entry(path, dict(facts))

    def bytes_on_disk(self) -> int:
        """What all entries take together."""
        return sum(size for _, _, size in self._sizes())

    def clear(self) -> None:
        """Delete every entry."""
        for _, path, _ in list(self._sizes()):
            _drop(path)

    def _open(self, path: Path, kind: str) -> Entry | None:
        try:
            manifest = _manifest(path, kind)
            if path not in _checked:
                for name, sha256 in manifest["files"].items():
                    record_files.check_sha256(path / name, sha256)
                _checked.add(path)
        except StoreError:
            _drop(path)
            return None
        atomic.mark_used(path / MANIFEST)
        return Entry(path, manifest["facts"])

    def _shrink(self, keep: Path) -> None:
        entries = sorted(self._sizes())
        total = sum(size for _, _, size in entries)
        for _, path, size in entries:
            if total <= self._limit:
                return
            if path != keep:
                _drop(path)
                total -= size

    def _sizes(self) -> Iterator[tuple[float, Path, int]]:
        """(last use, folder, bytes) of each entry."""
        for path in self._folder.glob("*-*"):
            with contextlib.suppress(OSError):  # another process dropped it, or it is no entry
                size = sum(file.lstat().st_size for file in path.iterdir())
                yield (path / MANIFEST).stat().st_mtime, path, size


_facts: Kept[dict[str, Any]] = Kept(files=(MANIFEST,))
_checked: set[Path] = set()
"""Entries that this process has checked or written; their names are never used again."""


def _manifest(path: Path, kind: str) -> dict[str, Any]:
    manifest = record_files.read_json(path / MANIFEST, required=True)
    record_files.valid(path / MANIFEST, manifest["facts"], FACTS.get(kind, dict[str, Any]))
    return manifest


def _drop(path: Path) -> None:
    with contextlib.suppress(OSError):
        atomic.delete_folder(path)


def _limit() -> int:
    words = os.environ.get("THAW_CACHE_GB", "")
    try:
        return int(float(words or DEFAULT_GIGABYTES) * 1e9)
    except ValueError:
        raise StoreError(
            f"THAW_CACHE_GB is a number of gigabytes, such as 4 or 0.5, got {words!r}."
        ) from None
