"""The datasets one can choose, as plain data; loads no images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

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
        names = {one.name for one in fields(cls)}
        values = {name: value for name, value in data.items() if name in names}
        return cls(**{**values, "class_names": tuple(data["class_names"])})


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
CIFAR10 = _names("airplane automobile bird cat deer dog frog horse ship truck")
CIFAR100 = _names(
    """apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus
    butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud cockroach couch
    crab crocodile cup dinosaur dolphin elephant flatfish forest fox girl hamster house kangaroo
    keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle mountain mouse
    mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy
    porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper
    snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television
    tiger tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"""
)
ZALANDO = "Zalando Research, https://github.com/zalandoresearch/fashion-mnist"
KRIZHEVSKY = "A. Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html"

DATASETS: dict[str, Dataset] = {
    dataset.name: dataset
    for dataset in (
        Dataset(
            "fashion-mini",
            "Fashion-MNIST mini",
            CLOTHES,
            28,
            28,
            1,
            5000,
            1000,
            2000,
            "MIT",
            f"A fixed part of Fashion-MNIST ({ZALANDO}).",
        ),
        Dataset(
            "fashion-mnist", "Fashion-MNIST", CLOTHES, 28, 28, 1, 60_000, 0, 10_000, "MIT", ZALANDO
        ),
        Dataset(
            "cifar10",
            "CIFAR-10",
            CIFAR10,
            32,
            32,
            3,
            50_000,
            0,
            10_000,
            "no licence is stated; asks for citation",
            KRIZHEVSKY,
        ),
        Dataset(
            "cifar100",
            "CIFAR-100",
            CIFAR100,
            32,
            32,
            3,
            50_000,
            0,
            10_000,
            "no licence is stated; asks for citation",
            KRIZHEVSKY,
        ),
        Dataset(
            "mnist",
            "MNIST",
            tuple("0123456789"),
            28,
            28,
            1,
            60_000,
            0,
            10_000,
            "CC BY-SA 3.0",
            "Y. LeCun, C. Cortes, C. Burges, through keras.datasets",
        ),
    )
}


def dataset(name: str) -> Dataset:
    """The dataset of that name.

    Raises:
        CatalogError: listing the names there are.
    """
    if name not in DATASETS:
        raise CatalogError(f"There is no dataset {name!r}: choose {', '.join(DATASETS)}.")
    return DATASETS[name]
