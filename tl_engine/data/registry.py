"""The registry of datasets that can be trained on: built in, and imported by people.

Reading a run never needs it, for a run carries its dataset's description; launching does.
An imported dataset is a folder below THAW_DATASETS_DIR, named like the dataset, with `dataset.json`
(its description) and the arrays as npy files. It never changes: other images have another name.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tl_engine.catalog import checks
from tl_engine.catalog.datasets import DATASETS, Dataset
from tl_engine.data.formats import ArrayFolder, DebianPackage, ShippedFile, Source
from tl_engine.errors import CatalogError, Problem, RecipeError
from tl_engine.recipe import Recipe
from tl_engine.study import Study

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
DESCRIPTION = "dataset.json"


class Entry(NamedTuple):
    """A dataset of the registry.

    Attributes:
        dataset: its description.
        sources: where its arrays may lie; the first that is here is read.
        is_fetched: it is downloaded when a run first uses it.
    """

    dataset: Dataset
    sources: tuple[Source, ...]
    is_fetched: bool = False

    def source(self) -> Source | None:
        """The source to read from; None where no file is on this machine."""
        return next((source for source in self.sources if source.is_here()), None)


SOURCES: dict[str, tuple[Source, ...]] = {
    "fashion-mini": (ShippedFile(),),
    "fashion-mnist": (DebianPackage(), ArrayFolder("fashion-mnist")),
}
"""Of built-in datasets that do not come from Keras alone."""


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        CatalogError: listing the names there are.
    """
    if name in DATASETS:
        sources = SOURCES.get(name, (ArrayFolder(name),))
        return Entry(DATASETS[name], sources, is_fetched=name != "fashion-mini")
    folder = imported_folder() / name
    if NAME.fullmatch(name) and (folder / DESCRIPTION).is_file():
        return Entry(_described(folder), (ArrayFolder(name, folder),))
    raise CatalogError(f"There is no dataset {name!r:.60}: choose {', '.join(names())}.")


def dataset(name: str) -> Dataset:
    """The description of the dataset of that name; errors as those of `entry`."""
    return entry(name).dataset


def names() -> list[str]:
    """All datasets, the built-in ones first."""
    folder = imported_folder()
    found = folder.glob(f"*/{DESCRIPTION}") if folder.is_dir() else ()
    return [*DATASETS, *sorted(file.parent.name for file in found)]


def imported_folder() -> Path:
    """Where imported datasets lie."""
    given = os.environ.get("THAW_DATASETS_DIR")
    return Path(given).expanduser() if given else Path.home() / ".local/share/thaw/datasets"


def checked(recipe: Recipe) -> Recipe:
    """The recipe with its dataset's description as the registry has it, if it can be trained.

    Raises:
        RecipeError: naming every field that cannot be trained.
    """
    problems = []
    try:
        recipe = replace(recipe, snapshot=dataset(recipe.dataset))
    except CatalogError:
        given = f"Dataset is one of {', '.join(names())}, got {recipe.dataset!r}."
        problems.append(Problem("dataset", given))
    if problems := [*problems, *checks.problems(recipe)]:
        raise RecipeError(problems)
    return recipe


def checked_study(study: Study) -> Study:
    """The study with every recipe checked; errors as those of `checked`."""
    arms = tuple(replace(arm, recipe=checked(arm.recipe)) for arm in study.arms)
    return replace(study, arms=arms)


def _described(folder: Path) -> Dataset:
    """
    Raises:
        CatalogError: for a description that cannot be read.
    """
    try:
        described = Dataset.from_dict(json.loads((folder / DESCRIPTION).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogError(
            f"The description of dataset {folder.name!r} cannot be read ({error}): import it again."
        ) from error
    return replace(described, name=folder.name)
