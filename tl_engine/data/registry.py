"""The registry of datasets that can be trained on: built in, and imported by people; where their
arrays may lie, and how they are read.

Reading a run never needs it, for a run carries its dataset's description; launching does.
An imported dataset is a folder below THAW_DATASETS_DIR, named like the dataset, with `dataset.json`
(its description) and the arrays as npy files. It never changes: other images have another name.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tl_engine.catalog import checks
from tl_engine.catalog.datasets import DATASETS, Dataset
from tl_engine.errors import CatalogError, Problem, RecipeError
from tl_engine.recipe import Recipe
from tl_engine.study import Study

NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
DESCRIPTION = "dataset.json"
SHIPPED = Path(__file__).parent / "fashion-mini.npz"
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
IDX = {
    "train_images": "train-images-idx3-ubyte.gz",
    "train_labels": "train-labels-idx1-ubyte.gz",
    "test_images": "t10k-images-idx3-ubyte.gz",
    "test_labels": "t10k-labels-idx1-ubyte.gz",
}


class Source(NamedTuple):
    """Where the arrays of a dataset may lie: those of ARRAYS, and of a validation split where one
    is published.

    Attributes:
        files: it can be read where all of them are on this machine.
        read: gives the arrays by name. A damaged file raises whatever its reader raises.
        remedy: what to do where reading fails.
    """

    files: Sequence[Path]
    read: Callable[[], dict[str, np.ndarray]]
    remedy: str


class Entry(NamedTuple):
    """A dataset of the registry.

    Attributes:
        dataset: its description.
        sources: where its arrays may lie; the first that is here is read.
        is_fetched: it is downloaded when a run first uses it.
    """

    dataset: Dataset
    sources: Sequence[Source]
    is_fetched: bool = False

    def source(self) -> Source | None:
        """The source to read from, found without opening a file; None where none is here."""
        here = (one for one in self.sources if all(file.exists() for file in one.files))
        return next(here, None)


def entry(name: str) -> Entry:
    """The entry of that name; raises CatalogError, listing the names there are."""
    if name == "fashion-mini":
        remedy = f"restore {SHIPPED.name} from Thaw's repository"
        return Entry(DATASETS[name], [Source([SHIPPED], _read_shipped, remedy)])
    if name in DATASETS:
        sources = [_arrays_in(prepared_folder(name), "they are fetched again")]
        if name == "fashion-mnist":
            remedy = "reinstall Debian's package dataset-fashion-mnist"
            sources.insert(
                0, Source([DEBIAN / file for file in IDX.values()], _read_debian, remedy)
            )
        return Entry(DATASETS[name], sources, is_fetched=True)
    folder = imported_folder() / name
    if NAME.fullmatch(name) and (folder / DESCRIPTION).is_file():
        return Entry(_described(folder), [_arrays_in(folder, "import them again")])
    raise CatalogError(f"There is no dataset {name!r:.60}: choose {', '.join(names())}.")


def dataset(name: str) -> Dataset:
    """The description of the dataset of that name; errors as those of `entry`."""
    return entry(name).dataset


def names() -> list[str]:
    """All datasets, the built-in ones first."""
    found = imported_folder().glob(f"*/{DESCRIPTION}")
    return [*DATASETS, *sorted(file.parent.name for file in found)]


def imported_folder() -> Path:
    """Where imported datasets lie."""
    given = os.environ.get("THAW_DATASETS_DIR")
    return Path(given).expanduser() if given else Path.home() / ".local/share/thaw/datasets"


def prepared_folder(name: str) -> Path:
    """Where the prepared arrays of a fetched dataset live: beside Keras' own cache."""
    home = Path(os.environ.get("KERAS_HOME", "~/.keras")).expanduser()
    return home / "datasets" / f"thaw-{name}"


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
    try:
        described = Dataset.from_dict(json.loads((folder / DESCRIPTION).read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CatalogError(
            f"The description of dataset {folder.name!r} cannot be read ({error}): import it again."
        ) from error
    return replace(described, name=folder.name)


def _arrays_in(folder: Path, again: str) -> Source:
    """A folder of npy files, each mapped into memory where it is used. The last of ARRAYS is
    written last: while it is missing, the dataset is not here."""
    files = [folder / f"{array}.npy" for array in ARRAYS]
    return Source(files, partial(_read_folder, folder), f"remove {folder} and {again}")


def _read_folder(folder: Path) -> dict[str, np.ndarray]:
    # Not np.load, which would follow a damaged file's word that it is an archive or a pickle.
    files = folder.glob("[!.]*.npy")  # the others are temporary
    return {file.stem: np.lib.format.open_memmap(file, mode="r") for file in files}


def _read_shipped() -> dict[str, np.ndarray]:
    with open(SHIPPED, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _read_debian() -> dict[str, np.ndarray]:
    return {array: read_idx(DEBIAN / file) for array, file in IDX.items()}


def read_idx(path: Path) -> np.ndarray:
    """A gzip file of the IDX format: two zero bytes, type 8 (uint8), dimensions, sizes, values.

    Raises:
        ValueError, OSError, EOFError: for a file that is none, or is damaged.
    """
    with gzip.open(path, "rb") as file:
        head = file.read(4)
        if len(head) < 4 or head[:3] != b"\x00\x00\x08":
            raise ValueError(f"{path.name} is no IDX file of bytes")
        shape = tuple(int.from_bytes(file.read(4), "big") for _ in range(head[3]))
        return np.frombuffer(file.read(), np.uint8).reshape(shape)
