"""The datasets that are built in, from the table in datasets.toml; loads no images."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

from tl_engine.errors import CatalogError

CARVED = 0.1
"""Share of the published training images that becomes validation where none is published."""


@dataclass(frozen=True)
class Dataset:
    """Labelled images.

    Attributes:
        name, title: for the engine, for people.
        class_names: in the order of their labels.
        height, width: native size in pixels.
        channels: 1 for grey images, 3 for colour, as published.
        train, validation, test: published images; validation 0 means it is carved from train.
        licence, source: of the images.
    """

    name: str
    title: str
    class_names: tuple[str, ...]
    height: int
    width: int
    channels: int
    train: int
    validation: int
    test: int
    licence: str
    source: str

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def default_train(self) -> int:
        """Training images that are left once validation has its own."""
        return self.train if self.validation else self.train - round(self.train * CARVED)

    @property
    def validation_images(self) -> int:
        """Images of the validation split: those published, or carved from the training images."""
        return self.validation or self.train - self.default_train

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the same description back."""
        return {**asdict(self), "class_names": list(self.class_names)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Dataset:
        """Read what `to_dict` wrote; fields of a later version are passed over."""
        return msgspec.convert(data, cls)


TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
DATASETS = {name: Dataset.from_dict({"name": name, **facts}) for name, facts in TABLE.items()}


def dataset(name: str) -> Dataset:
    """The dataset of that name; raises CatalogError, listing the names there are."""
    if name not in DATASETS:
        raise CatalogError(f"There is no dataset {name!r}: choose {', '.join(DATASETS)}.")
    return DATASETS[name]
