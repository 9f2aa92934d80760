"""The runs that ids name, without those that are damaged; what is left out is named."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunStore
from tl_engine.runs.observations import split_sound
from tl_engine.text import plain

Damaged = list[dict[str, str]]
"""Per run or study that was left out: its id, and the sentence about its damage."""


def sound_runs(store: RunStore, ids: Iterable[str]) -> tuple[list[Run], Damaged]:
    """The runs that ids of studies and runs name, and what of them is damaged or missing.

    Raises:
        StoreError: where no id names anything that can be read.
    """
    chosen: dict[str, Run] = {}
    unreadable: Damaged = []
    for wanted in ids:
        try:
            folder = store.study(wanted.partition("/")[0])
            if not folder.is_readable:
                raise StoreError(folder.damage or "It cannot be read.")
            chosen |= {run.id: run for run in store.select([wanted])}
        except StoreError as error:
            unreadable.append({"id": plain(wanted, 100), "sentence": str(error)})
    if unreadable and not chosen:
        raise StoreError(unreadable[0]["sentence"])
    sound, damaged = without_damaged(chosen.values())
    return sound, [*unreadable, *damaged]


def without_damaged(runs: Iterable[Run]) -> tuple[list[Run], Damaged]:
    """The sound ones of some runs, and the others."""
    sound, damaged = split_sound(list(runs))
    return sound, [{"id": run.id, "sentence": why} for run, why in damaged]


def print_left_out(damaged: Damaged) -> None:
    """Print on standard error what was left out, and why."""
    for one in damaged:
        print(f"{one['id']} is left out: {one['sentence']}", file=sys.stderr)
