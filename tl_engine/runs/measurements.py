"""How long steps take on this machine: a file in the store, from which times are estimated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tl_engine.runs.shapes import records_in

FILE = "measurements.jsonl"


def add(root: Path, measurement: dict[str, Any]) -> None:
    """Append a measurement (see `shapes.Measurement`)."""
    records_in(root).append(FILE, measurement)


def read(root: Path) -> list[dict[str, Any]]:
    """All measurements, oldest first; damaged lines are left out: nothing depends on them."""
    return records_in(root).readable_lines(FILE)
