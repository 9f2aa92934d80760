"""A cache on disk: what was computed once and may be needed again. Every entry can be deleted.

    .cache/<kind>-<key>-<8 hex digits>/entry.json   facts, and the sha256 of each file
                                       ...          the files

Any process may write entries, each whole or not at all. An entry that is not what was written is
dropped when it is read, and computed anew. The entries used longest ago are deleted first where
there are more bytes than THAW_CACHE_GB allows (4 by default; 0 caches nothing).
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypedDict

from tl_engine.errors import StoreError
from tl_engine.storage import atomic, reading, record_files
from tl_engine.storage.memory import FolderCache
from tl_engine.storage.record_files import Hash, Records, Shape

MANIFEST = "entry.json"


class Manifest(TypedDict):
    facts: dict[str, Any]
    files: dict[str, Hash]


SHAPES = {MANIFEST: Shape(Manifest, 2**26)}


class Entry(NamedTuple):
    """A sound entry: its folder, and the facts that were written with it."""

    path: Path
    facts: dict[str, Any]


class Cache:
    """The entries in one folder, of several kinds. The readers of a kind pass the shape of its
    facts (see `record_files.Shape.of`)."""

    def __init__(self, root: Path, limit: int | None = None) -> None:
        """The entries in root/.cache, at most `limit` bytes together; None means THAW_CACHE_GB."""
        self._folder = root / ".cache"
        self._limit = _limit() if limit is None else limit

    def entries(self, kind: str, key: str, shape: Any = dict[str, Any]) -> list[Entry]:
        """The sound entries of that kind and key; each process checks their files once."""
        paths = sorted(self._folder.glob(f"{kind}-{key}-*"))
        return [entry for path in paths if (entry := self._open(path, shape))]

    def facts(self, kind: str, shape: Any = dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """(key, facts) of each entry of that kind; its files are not checked."""
        for path in self._folder.glob(f"{kind}-*"):
            with contextlib.suppress(FileNotFoundError, StoreError):  # dropped, or will be
                manifest = _manifests.get(path, partial(_manifest, path, shape))
                yield path.name.split("-")[-2], manifest["facts"]

    def put(
        self, kind: str, key: str, facts: Mapping[str, Any], fill: Callable[[Path], object]
    ) -> Entry | None:
        """Add an entry with the files that `fill` writes into a folder, and facts, which it may
        still change; None where the limit is 0.

        Raises:
            OSError: where the disk is full or refuses; then nothing is added.
        """
        if self._limit <= 0:
            return None
        path = self._folder / f"{kind}-{key}-{secrets.token_hex(4)}"

        def fill_and_describe(folder: Path) -> None:
            fill(folder)
            files = {file.name: reading.sha256_of(file) for file in sorted(folder.iterdir())}
            Records(folder).write(MANIFEST, {"facts": dict(facts), "files": files})

        atomic.publish_folder(path, fill_and_describe)
        _checked.add(path)
        self._shrink(excluded=path)
        return Entry(path, dict(facts))

    def _open(self, path: Path, shape: Any) -> Entry | None:
        try:
            manifest = _manifest(path, shape)
            if path not in _checked:
                for name, sha256 in manifest["files"].items():
                    reading.check_sha256(path / name, sha256)
                _checked.add(path)
        except StoreError:
            _drop(path)
            return None
        with contextlib.suppress(OSError):  # another process drops it, or this account may not
            os.utime(path / MANIFEST)
        return Entry(path, manifest["facts"])

    def _shrink(self, excluded: Path) -> None:
        entries = []
        for path in self._folder.glob("*-*"):
            with contextlib.suppress(OSError):  # another process dropped it, or it is no entry
                size = sum(file.lstat().st_size for file in path.iterdir())
                entries.append(((path / MANIFEST).stat().st_mtime, path, size))
        total = sum(size for _, _, size in entries)
        for _, path, size in sorted(entries):
            if total > self._limit and path != excluded:
                _drop(path)
                total -= size


_manifests: FolderCache[dict[str, Any]] = FolderCache(files=(MANIFEST,))
_checked: set[Path] = set()
"""Entries that this process has checked or written; a folder name is never used twice."""


def _manifest(path: Path, shape: Any) -> dict[str, Any]:
    manifest = Records(path, SHAPES).read(MANIFEST, required=True)
    record_files.valid(path / MANIFEST, manifest["facts"], shape)
    return manifest


def _drop(path: Path) -> None:
    with contextlib.suppress(OSError):
        atomic.delete_folder(path)


def _limit() -> int:
    setting = os.environ.get("THAW_CACHE_GB", "")
    try:
        return int(float(setting or 4) * 1e9)
    except ValueError:
        raise StoreError(
            f"THAW_CACHE_GB is a number of gigabytes, such as 4 or 0.5, got {setting!r}."
        ) from None
