"""How long steps take on this machine: kept beside the studies, for estimates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tl_engine.storage import record_files

FILE = "measurements.jsonl"


def add(root: Path, measurement: dict[str, Any]) -> None:
    """Keep a measurement."""
    record_files.append_line(root / FILE, measurement)


def read(root: Path) -> list[dict[str, Any]]:
    """All measurements, oldest first; damaged lines are passed over, they are only a cache."""
    return record_files.readable_lines(root / FILE)
