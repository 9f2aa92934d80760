"""The ledger: what deleted studies had asked, computed and opened, so that deleting makes nothing
unseen.

A line per deleted study. Its finished runs keep their last scores there and go on counting
as evidence, its failed and stopped ones go on being lost: whoever deletes what displeases would
choose otherwise. Places in a line are numbers of its recipes, since what identifies a recipe
changes with every setting that a later version adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine.errors import StoreError
from tl_engine.storage import atomic, record_files
from tl_engine.storage.lease import hold, lease_of

FILE = "evidence.jsonl"
DAMAGED = f"What deleted studies computed cannot be read ({FILE} is damaged)"


class Ledger(NamedTuple):
    """What it says.

    Attributes:
        lines: of each deleted study id, title, created, recipes, pairs, metric, computed_before,
            runs (recipe, pair, state, sentence, ended, scores, data) and openings (at, runs); see
            `shapes.Left`.
        is_damaged: a line is not what was written; then everything counts as seen.
    """

    lines: list[dict[str, Any]]
    is_damaged: bool


def read(root: Path) -> Ledger:
    """The ledger of a store; empty where nothing was deleted. Half a last line belongs to a study
    that was not deleted then, and is no damage."""
    path = root / FILE
    try:
        return Ledger(record_files.read_lines(path), False)
    except StoreError:
        return Ledger(record_files.readable_lines(path), True)


def add(root: Path, line: Mapping[str, Any]) -> None:
    """Write down what a study leaves; before it is deleted.

    Raises:
        StoreError: where somebody else writes right now.
        OSError: where the disk is full or refuses: then nothing may be deleted.
    """
    with hold(lease_of(root / "evidence.lock"), wait=True) as holding:
        if not holding:
            raise StoreError("Somebody is deleting another study right now: try again.")
        known = read(root)
        if known.is_damaged:  # what is damaged stays, and goes on being said
            record_files.append_line(root / FILE, line)
        else:
            # Whoever died while deleting it wrote a line about it, too.
            others = [one for one in known.lines if one["study"] != line["study"]]
            atomic.rewrite_lines(
                root / FILE, [record_files.with_checksum(one) for one in [*others, line]]
            )
