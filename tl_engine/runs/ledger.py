"""The ledger: what deleted studies asked, computed and read of the test set.

A line per deleted study (see `layout.SHAPES`). Its finished runs keep their last scores there
and still count as evidence, its failed and stopped ones still count as lost: otherwise people
could choose their evidence by deleting. A line refers to a recipe by its place in the line's list,
since a recipe's id changes with every setting that a later version adds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from tl_engine.catalog.datasets import Dataset
from tl_engine.errors import RECIPE_ERRORS, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs.layout import records_in
from tl_engine.runs.observations import recipe_id
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import lease_of

FILE = "evidence.jsonl"
DAMAGED = f"What deleted studies computed cannot be read ({FILE} is damaged)"


class Ledger(NamedTuple):
    """Its lines, and whether one is not what was written: then every run counts as seen."""

    lines: list[dict[str, Any]]
    is_damaged: bool


def read(root: Path) -> Ledger:
    """The ledger of a store; empty where nothing was deleted. An unfinished last line belongs to a
    study that was not deleted then, and is no damage."""
    records = records_in(root)
    try:
        return Ledger(records.lines(FILE), False)
    except StoreError:
        return Ledger(records.readable_lines(FILE), True)


def add(root: Path, line: Mapping[str, Any]) -> None:
    """Write the line of a study that is about to be deleted; OSError where the disk is full or
    refuses: then nothing may be deleted."""
    with hold(lease_of(root / "evidence.lock"), wait=True):
        ledger = read(root)
        if ledger.is_damaged:  # the damaged line stays, so that the damage still shows
            records_in(root).append(FILE, line)
        else:
            # A process that died while deleting the study wrote a line about it, too.
            others = [other for other in ledger.lines if other["study"] != line["study"]]
            records_in(root).rewrite(FILE, [*others, line])


def recipes_of(line: Mapping[str, Any]) -> list[Recipe | None]:
    """The recipes of a line; None for one that cannot be read any more."""
    datasets = line.get("datasets", {})
    return [
        _recipe(json.dumps(recipe), json.dumps(datasets.get(recipe.get("dataset"))))
        for recipe in line["recipes"]
    ]


def with_recipe_ids(line: dict[str, Any]) -> dict[str, Any]:
    """A line that refers to recipes by their ids, which are added as `ids`; "" stands for a recipe
    that cannot be read any more."""
    ids = [recipe_id(recipe) if recipe else "" for recipe in recipes_of(line)]
    runs, accesses = line["runs"], line["openings"]
    return {
        **line,
        "ids": tuple(filter(None, ids)),
        "computed_before": _named(line["computed_before"], ids),
        "runs": [{**run, "recipe": ids[run["recipe"]]} for run in runs if run["recipe"] < len(ids)],
        "openings": [{**access, "runs": _named(access["runs"], ids)} for access in accesses],
    }


def _named(places: Iterable[tuple[int, int]], ids: Sequence[str]) -> list[tuple[str, int]]:
    return [(ids[arm], pair) for arm, pair in places if arm < len(ids)]


@lru_cache(maxsize=1000)
def _recipe(written: str, dataset: str) -> Recipe | None:
    description = json.loads(dataset)
    try:
        snapshot = Dataset.from_dict(description) if description else None
        return Recipe.from_dict(json.loads(written), snapshot)
    except RECIPE_ERRORS:
        return None
