"""The one way in which what lies under runs/ is read, whatever is there: a valid value, or
DamagedError with the sentence about it.

Every JSON object and line carries a checksum, a digest of the rest of it and, since format 3, of
the file's name and of the run it belongs to: a flipped bit is noticed, and so is the file of
another run. Then its names, types and ranges are checked (`shapes.py`), so that nobody who reads
it has to doubt what it holds.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tl_engine.errors import ClosedError, DamagedError, StoreError
from tl_engine.runs.shapes import ANYTHING, SHAPES
from tl_engine.storage import atomic

VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy")
FORMAT = 3
"""Of what this Thaw writes. 1: no checksums. 2: every JSON object and line has one. 3: the
checksums of a run's files are bound to the run."""
CHECKSUM = "seal"
"""Its key in a file; the name that stores of format 3 have."""
MAXIMUM_GROWN = 32
MAXIMUM_DEPTH = 32
MAXIMUM_ARRAYS = 2**34
"""Bytes of a file of arrays."""
WRONG = "it is not what was written"
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def checksum(value: Mapping[str, Any], name: str = "", owner: str = "") -> str:
    """16 hex digits of the sha256 of its JSON with sorted keys.

    Args:
        name, owner: the file, and to whom it belongs; without an owner it belongs to nobody, as
            in format 2.
    """
    text = _CANONICAL(value)
    return _sha256(f"{owner}/{name}\n{text}" if owner else text)[:16]


def with_checksum(value: Mapping[str, Any], name: str = "", owner: str = "") -> dict[str, Any]:
    """The same with its checksum."""
    return {**value, CHECKSUM: checksum(value, name, owner)}


@dataclass(frozen=True)
class Records:
    """The JSON files of one folder.

    Attributes:
        owner: what their checksums are bound to; empty before format 3.
        checked: they have checksums; off for format 1.
    """

    folder: Path
    owner: str = ""
    checked: bool = True

    def read(self, name: str, *, sha256: str = "") -> dict[str, Any]:
        """A JSON object without its checksum; empty where the file is missing.

        Args:
            sha256: of the whole file, where another file that was read already says it.

        Raises:
            DamagedError: where the file is not what was written.
            StoreError: where it was written by a newer Thaw.
        """
        path = self.folder / name
        text = _text(path)
        if text is None:
            if sha256:
                raise DamagedError(path, "it is missing")
            return {}
        self._compare(path, text, sha256)
        return self._open(path, text)

    def lines(self, name: str, *, sha256: str = "") -> list[dict[str, Any]]:
        """The objects of a JSON-lines file without their checksums, oldest first; a last line
        that is half written is not read yet. Errors and arguments as those of `read`."""
        path = self.folder / name
        text = _text(path)
        if text is None and sha256:
            raise DamagedError(path, "it is missing")
        text = text or b""
        self._compare(path, text, sha256)
        complete = text[: text.rfind(b"\n") + 1]
        before, lines = _grown.get((self, name), (b"", []))
        if not complete.startswith(before):
            before, lines = b"", []
        fresh = (self._open(path, line) for line in complete[len(before) :].split(b"\n")[:-1])
        lines = [*lines, *fresh]
        if len(_grown) >= MAXIMUM_GROWN:
            _grown.clear()
        _grown[self, name] = complete, lines
        return [dict(line) for line in lines]

    def readable_lines(self, name: str) -> list[dict[str, Any]]:
        """The sound objects of a JSON-lines file that is only a help: lines that are damaged or,
        as format 1 wrote them, without a checksum are passed over."""
        try:
            lines = (_text(self.folder / name) or b"").split(b"\n")
        except DamagedError:
            return []
        found = []
        for line in lines:
            try:
                found.append(self._open(self.folder / name, line))
            except StoreError:
                continue
        return found

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace a JSON file."""
        atomic.write_json(self.folder / name, with_checksum(value, name, self.owner))

    def append(self, name: str, value: Mapping[str, Any]) -> None:
        """Append a JSON line."""
        atomic.append_line(self.folder / name, with_checksum(value, name, self.owner))

    def rewrite(self, name: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Replace a JSON-lines file."""
        written = [with_checksum(value, name, self.owner) for value in values]
        atomic.rewrite_lines(self.folder / name, written)

    def _open(self, path: Path, text: bytes) -> dict[str, Any]:
        value = _parsed(path, text)
        found = value.pop(CHECKSUM, None)
        old = found is None and not self.checked and "format" not in value
        if not old and found != checksum(value, path.name, self.owner):
            raise DamagedError(path, WRONG)
        return valid(path, value, SHAPES.get(path.name, ANYTHING).of)

    @staticmethod
    def _compare(path: Path, text: bytes, sha256: str) -> None:
        if sha256 and hashlib.sha256(text).hexdigest() != sha256:
            raise DamagedError(path, WRONG)


_grown: dict[tuple[Records, str], tuple[bytes, list[dict[str, Any]]]] = {}
"""What the last few files held, with their lines: of a file that has only grown, as a living run's
history does between two looks, what was there need not be parsed again."""


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a JSON file that belongs to no run."""
    Records(path.parent).write(path.name, value)


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append a JSON line to a file that belongs to no run."""
    Records(path.parent).append(path.name, value)


def read_json(path: Path, *, required: bool = False, checked: bool = True) -> dict[str, Any]:
    """A JSON object of a file that belongs to no run; empty where it is missing and may be.

    Args:
        checked: refuse it where the checksum is missing; off for format 1.

    Raises:
        DamagedError: where the file is not what was written.
        StoreError: where it was written by a newer Thaw.
    """
    value = Records(path.parent, checked=checked).read(path.name)
    if required and not value:
        raise DamagedError(path, "it is missing")
    return value


def read_lines(path: Path, *, checked: bool = True) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file that belongs to no run; errors as those of `read_json`."""
    return Records(path.parent, checked=checked).lines(path.name)


def readable_lines(path: Path) -> list[dict[str, Any]]:
    """The sound objects of a JSON-lines file that belongs to no run."""
    return Records(path.parent).readable_lines(path.name)


def valid(path: Path, value: Any, shape: Any) -> Any:
    """The value as it is, where it has that shape (see `shapes.py`).

    Raises:
        DamagedError: where it has not.
    """
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise DamagedError(path, f"it holds what no Thaw writes ({error})") from error
    return value


def read_arrays(path: Path, sha256: str = "") -> dict[str, np.ndarray]:
    """The arrays of an npz file.

    Raises:
        DamagedError: where it is missing or is not what was written.
    """
    if sha256:
        check_sha256(path, sha256)
    try:
        opened = os.fdopen(atomic.open_file(path, os.O_RDONLY), "rb")
        with opened as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError as error:
        raise _refused(path, error) from error
    except Exception as error:  # zipfile and numpy raise whatever the bytes lead them to
        raise DamagedError(path, WRONG) from error


def read_bytes(path: Path, sha256: str = "") -> bytes:
    """A file's bytes; errors as those of `read_arrays`."""
    text = _text(path, MAXIMUM_ARRAYS)
    if text is None:
        raise DamagedError(path, "it is missing")
    if sha256 and hashlib.sha256(text).hexdigest() != sha256:
        raise DamagedError(path, WRONG)
    return text


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex.

    Raises:
        OSError: where it is missing or no file.
    """
    with os.fdopen(atomic.open_file(path, os.O_RDONLY), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """
    Raises:
        DamagedError: where the file is missing or is not what was written.
    """
    try:
        found = sha256_of(path)
    except OSError as error:
        raise _refused(path, error) from error
    if found != expected:
        raise DamagedError(path, WRONG)


def names_in(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder.

    Raises:
        DamagedError: where it is gone, no folder, or cannot be read.
    """
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _refused(folder, error) from error


def is_folder(path: Path | str) -> bool:
    """Whether a folder lies there, or a link to one; no for what cannot be told."""
    return os.path.isdir(path)


def is_there(path: Path) -> bool:
    """Whether something lies there, be it what cannot be opened; a link to nothing does not."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return os.path.lexists(path)
    return True


def require_file(entry: os.DirEntry[str]) -> None:
    """
    Raises:
        DamagedError: where it is something else than a file.
    """
    with contextlib.suppress(OSError):
        if entry.is_file():
            return
    try:
        os.close(atomic.open_file(Path(entry.path), os.O_RDONLY))
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or os.path.lexists(entry.path):
            raise _refused(Path(entry.path), error) from error


def now() -> str:
    """The local time with its zone, to the second, as ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions that can change a run's bits; read without importing the packages."""
    return dict(_versions())


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    installed = {name: version(name) for name in VERSIONED_PACKAGES}
    return {"python": platform.python_version(), **installed}


def _text(path: Path, limit: int = 0) -> bytes | None:
    """The file's bytes; None where it is missing.

    Raises:
        DamagedError: where it is no file, cannot be read, or is larger than its kind may be.
    """
    limit = limit or SHAPES.get(path.name, ANYTHING).limit
    try:
        with io.FileIO(atomic.open_file(path, os.O_RDONLY)) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise DamagedError(path, f"it has {size:,} bytes, at most {limit:,} are read")
            return file.readall()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: OSError) -> DamagedError:
    if isinstance(error, FileNotFoundError):
        return DamagedError(path, "it is missing")
    if isinstance(error, atomic.NoFileError):
        return DamagedError(path, error.what)
    if isinstance(error, PermissionError):
        return ClosedError(path, error.strerror or "not permitted")
    return DamagedError(path, f"it cannot be read ({error.strerror})")


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    """Any JSON object whose numbers are finite, whose words are Unicode and which is not nested
    so deep that walking through it would fail."""
    try:
        value = msgspec.json.decode(text)
    except (ValueError, RecursionError, MemoryError) as error:
        raise DamagedError(path, WRONG) from error
    if not isinstance(value, dict):
        raise DamagedError(path, "it is no JSON object")
    if text.count(b"[") + text.count(b"{") > MAXIMUM_DEPTH and _is_deep(value):
        raise DamagedError(path, f"it is nested more than {MAXIMUM_DEPTH} deep")
    written = value.get("format", 1)
    if isinstance(written, int) and FORMAT < written < 2**31:
        raise StoreError(
            f"{path.parent.name}/{path.name} was written by a newer Thaw (format {written}; this "
            f"one reads up to {FORMAT}): upgrade Thaw to open it."
        )
    return value


def _is_deep(value: Any) -> bool:
    level = [value]
    for _ in range(MAXIMUM_DEPTH):
        parts = [part.values() if isinstance(part, dict) else part for part in level]
        level = [one for part in parts for one in part if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
