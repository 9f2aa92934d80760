"""JSON files with checksums: whoever reads one gets a valid value, or DamagedError.

Every JSON object and line carries a checksum: a digest of its other values and, since format 3, of
the file's name and its owner, so that a flipped bit or another owner's file is noticed. Then names,
types and ranges are checked against the file's shape.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from tl_engine.errors import DamagedError, StoreError
from tl_engine.storage import atomic, reading
from tl_engine.storage.reading import MISSING, WRONG

FORMAT = 3
"""What this version writes. 2: every JSON object and line has a checksum. 3: the checksum also
covers the file's name and owner. Files of both are read."""
CHECKSUM = "seal"
"""The checksum's key; the name that stores of format 3 have."""
MAXIMUM_DEPTH = 32
MAXIMUM_LINES_CACHED = 32
Hash = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""A sha256 in hex."""
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class Shape(NamedTuple):
    """What a JSON file, or each line of a JSON-lines file, holds: a type as msgspec understands it,
    where fields that it does not name are allowed, in at most `limit` bytes of the whole file."""

    of: Any
    limit: int


ANY = Shape(dict[str, Any], 2**26)


def checksum(value: Mapping[str, Any], name: str = "", owner: str = "") -> str:
    """16 hex digits of the sha256 of the value's JSON with sorted keys and, where the file has an
    owner (since format 3), of the file's name and that owner."""
    text = _CANONICAL(value)
    text = f"{owner}/{name}\n{text}" if owner else text
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def with_checksum(value: Mapping[str, Any], name: str = "", owner: str = "") -> dict[str, Any]:
    """The value with its checksum added."""
    return {**value, CHECKSUM: checksum(value, name, owner)}


@dataclass(frozen=True)
class Records:
    """The JSON files of one folder.

    Attributes:
        shapes: by file name; a file without one may hold any JSON object.
        owner: what the checksums are bound to; empty for files that belong to no run.
    """

    folder: Path
    shapes: Mapping[str, Shape] = field(default_factory=dict, compare=False)
    owner: str = ""

    def read(self, name: str, *, sha256: str = "", required: bool = False) -> dict[str, Any]:
        """A JSON object without its checksum; empty where the file is missing and may be.

        Args:
            sha256: of the whole file, where another file names it; then the file is required.

        Raises:
            DamagedError: where the file is not what was written.
            StoreError: where a newer version wrote it.
        """
        data = self._read(name, sha256, required)
        return self._value(name, data) if data is not None else {}

    def lines(self, name: str, *, sha256: str = "") -> list[dict[str, Any]]:
        """The objects of a JSON-lines file without their checksums, oldest first; an unfinished
        last line is left out. Arguments and errors as those of `read`."""
        data = self._read(name, sha256) or b""
        complete = data[: data.rfind(b"\n") + 1]
        before, lines = _parsed_lines.get((self, name), (b"", []))
        if not complete.startswith(before):
            before, lines = b"", []
        added = complete[len(before) :].split(b"\n")[:-1]
        lines = [*lines, *(self._value(name, line) for line in added)]
        if len(_parsed_lines) >= MAXIMUM_LINES_CACHED:
            _parsed_lines.clear()
        _parsed_lines[self, name] = complete, lines
        return [dict(line) for line in lines]

    def readable_lines(self, name: str) -> list[dict[str, Any]]:
        """The sound objects of a JSON-lines file that nothing depends on; damaged lines are
        left out."""
        found = []
        with contextlib.suppress(DamagedError):
            for line in (self._read(name) or b"").split(b"\n"):
                with contextlib.suppress(StoreError):
                    found.append(self._value(name, line))
        return found

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Replace a JSON file."""
        text = self._encoded(name, value, indent=1)
        atomic.write(self.folder / name, lambda file: file.write(text))

    def append(self, name: str, value: Mapping[str, Any]) -> None:
        """Append a JSON line."""
        atomic.append_line(self.folder / name, self._encoded(name, value))

    def rewrite(self, name: str, values: Sequence[Mapping[str, Any]]) -> None:
        """Replace a JSON-lines file."""
        lines = [self._encoded(name, value) for value in values]
        atomic.write(self.folder / name, lambda file: file.writelines(lines))

    def _encoded(self, name: str, value: Mapping[str, Any], indent: int | None = None) -> bytes:
        """JSON of one object and its checksum; floats keep every bit.

        Raises:
            ValueError: for NaN or infinity, which JSON does not know.
        """
        sealed = with_checksum(value, name, self.owner)
        text = json.dumps(sealed, indent=indent, ensure_ascii=False, allow_nan=False)
        return f"{text}\n".encode()

    def _read(self, name: str, sha256: str = "", required: bool = False) -> bytes | None:
        path = self.folder / name
        data = reading.read_if_exists(path, self.shapes.get(name, ANY).limit)
        if data is None and (sha256 or required):
            raise DamagedError(path, MISSING)
        reading.compare(path, data or b"", sha256)
        return data

    def _value(self, name: str, data: bytes) -> dict[str, Any]:
        path = self.folder / name
        value = _parsed(path, data)
        if value.pop(CHECKSUM, None) != checksum(value, name, self.owner):
            raise DamagedError(path, WRONG)
        return valid(path, value, self.shapes.get(name, ANY).of)


_parsed_lines: dict[tuple[Records, str], tuple[bytes, list[dict[str, Any]]]] = {}
"""The bytes and parsed lines of the last few files: where a file has only grown, as the history of
a running run does, lines that were parsed already are not parsed again."""


def valid(path: Path, value: Any, shape: Any) -> Any:
    """The value as it is, if it has the shape (a type as msgspec understands it).

    Raises:
        DamagedError: where it has not.
    """
    try:
        msgspec.convert(value, shape)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise DamagedError(path, f"it holds what no Thaw writes ({error})") from error
    return value


def now() -> str:
    """The local time with its zone, to the second, as ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def _parsed(path: Path, data: bytes) -> dict[str, Any]:
    """Any JSON object whose numbers are finite, whose strings are Unicode, and which is not nested
    so deep that walking through it would fail."""
    try:
        value = msgspec.json.decode(data)
    except (ValueError, RecursionError, MemoryError) as error:
        raise DamagedError(path, WRONG) from error
    if not isinstance(value, dict):
        raise DamagedError(path, "it is no JSON object")
    if data.count(b"[") + data.count(b"{") > MAXIMUM_DEPTH and _is_deep(value):
        raise DamagedError(path, f"it is nested more than {MAXIMUM_DEPTH} deep")
    written = value.get("format", FORMAT)
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
        level = [inner for part in parts for inner in part if isinstance(inner, dict | list)]
        if not level:
            return False
    return True
