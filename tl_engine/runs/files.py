"""Reading what lies under runs/ with care, and small facts that are written there."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tl_engine.errors import StoreError

VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy")


def read_json(path: Path, *, required: bool = False) -> dict[str, Any]:
    """A JSON object; empty where the file is missing and may be."""
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        if required:
            raise StoreError(f"{path.parent.name} has no {path.name}.") from None
        return {}
    except ValueError as error:
        raise StoreError(f"{path.parent.name}/{path.name} is damaged: {error}.") from error
    if not isinstance(value, dict):
        raise StoreError(f"{path.parent.name}/{path.name} is damaged: it is no JSON object.")
    return value


def read_lines(path: Path) -> list[Any]:
    """The values of a JSON-lines file, oldest first; what is no JSON is passed over."""
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return []
    return [value for value in map(_json_or_none, lines) if value is not None]


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def now() -> str:
    """The local time with its zone, to the second, as ISO 8601."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """Versions that can change a run's bits; read without importing the packages."""
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in VERSIONED_PACKAGES},
    }


def _json_or_none(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
