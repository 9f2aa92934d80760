"""Reading what lies under runs/ with care, and small facts that are written there.

Every JSON object and line carries a seal, a digest of the rest of it: a flipped bit is noticed,
and never shown as a number.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tl_engine import fsio
from tl_engine.errors import DamagedError, StoreError

VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy")
FORMAT = 2
"""Of what this Thaw writes. 1: nothing was sealed. 2: every JSON object and line is."""
SEAL = "seal"
MAXIMUM_GROWN = 32
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def seal(value: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its seal: 16 hex digits of the sha256 of its JSON with sorted keys."""
    return {**value, SEAL: _digest(value)}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace a sealed JSON file."""
    fsio.write_json(path, seal(value))


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append a sealed JSON line."""
    fsio.append_line(path, seal(value))


def read_json(path: Path, *, required: bool = False, sealed: bool = True) -> dict[str, Any]:
    """A JSON object without its seal; empty where the file is missing and may be.

    Args:
        sealed: refuse it where the seal is missing; off for format 1.

    Raises:
        DamagedError: where the file is not what was written.
        StoreError: where a required file is missing, or was written by a newer Thaw.
    """
    text = _text(path)
    if text is None and required:
        raise DamagedError(path, "it is missing")
    return {} if text is None else _open(path, text, sealed)


def read_lines(path: Path, *, sealed: bool = True) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file without their seals, oldest first; a last line that is
    half written is not read yet.

    Raises:
        DamagedError: where a line is not what was written.
    """
    text = _text(path) or b""
    complete = text[: text.rfind(b"\n") + 1]
    before, lines = _grown.get((path, sealed), (b"", []))
    if not complete.startswith(before):
        before, lines = b"", []
    lines = [*lines, *(_open(path, line, sealed) for line in complete[len(before) :].splitlines())]
    if len(_grown) >= MAXIMUM_GROWN:
        _grown.clear()
    _grown[path, sealed] = complete, lines
    return [dict(line) for line in lines]


_grown: dict[tuple[Path, bool], tuple[bytes, list[dict[str, Any]]]] = {}
"""What the last few files held, with their lines: of a file that has only grown, as a living run's
history does between two looks, what was there need not be parsed again."""


def readable_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file that is only a cache; lines that are damaged or, as format
    1 wrote them, without a seal are passed over: a flipped bit may take the seal's name."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            found.append(_open(path, line, sealed=True))
        except StoreError:
            continue
    return found


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """
    Raises:
        DamagedError: where the file is missing or is not what was written.
    """
    try:
        found = sha256_of(path)
    except FileNotFoundError:
        raise DamagedError(path, "it is missing") from None
    except OSError as error:
        raise DamagedError(path, f"it cannot be read ({error.strerror})") from error
    if found != expected:
        raise DamagedError(path, "it is not what was written")


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


def _text(path: Path) -> bytes | None:
    """The file's bytes; None where it is missing."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DamagedError(path, f"it cannot be read ({error.strerror})") from error


def _open(path: Path, text: bytes, sealed: bool) -> dict[str, Any]:
    """Parse an object and break its seal."""
    try:
        value = json.loads(text.decode())
    except (ValueError, RecursionError) as error:
        raise DamagedError(path, "it is not what was written") from error
    if not isinstance(value, dict):
        raise DamagedError(path, "it is no JSON object")
    written = value.get("format", 1)
    if isinstance(written, int) and written > FORMAT:
        raise StoreError(
            f"{path.parent.name}/{path.name} was written by a newer Thaw (format {written}; this "
            f"one reads up to {FORMAT}): upgrade Thaw to open it."
        )
    found = value.pop(SEAL, None)
    old = found is None and not sealed and "format" not in value
    if not old and found != _digest(value):
        raise DamagedError(path, "it is not what was written")
    return value


def _digest(value: Mapping[str, Any]) -> str:
    return hashlib.sha256(_CANONICAL(value).encode()).hexdigest()[:16]
