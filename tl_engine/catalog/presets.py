"""The starting points of Launch: plain data that makes Studies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from tl_engine.errors import CatalogError
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Study, name_arms, with_reversed

ARTICLE_ALL = Phase("all", 2, 1e-5)
ARTICLE_HEAD = Phase("head", 4, 1e-3)

ARTICLE_SETTINGS: dict[str, Any] = {
    "backbone": "resnet50",
    "dataset": "cifar10",
    "head_input": "softmax",
    # base_model.trainable = True lets the article's BatchNormalization layers learn and move.
    "batchnorm": "adapt",
    "image_size": 224,
    "batch_size": 64,
}
TRY_IT_SETTINGS: dict[str, Any] = {
    "backbone": "efficientnet-lite0",
    "dataset": "fashion-mini",
    "train_images": 1000,
    "image_size": 64,
    "batch_size": 64,
}

SIX_ORDERS = (
    (ARTICLE_HEAD,),
    (ARTICLE_ALL,),
    (ARTICLE_HEAD, ARTICLE_ALL),
    (ARTICLE_ALL, ARTICLE_HEAD),
    (ARTICLE_ALL, ARTICLE_HEAD, ARTICLE_ALL),
    (ARTICLE_HEAD, ARTICLE_ALL, ARTICLE_HEAD),
)


@dataclass(frozen=True)
class Preset:
    """A study to start from.

    Attributes:
        name: for the command line and links.
        title, description: for people.
        settings: what all arms share.
        orders: the phases of each arm.
        varied: values of further settings; every order is an arm with each of them.
        reverse: whether the reversed order joins as another arm.
        pairs: number of paired seeds.
    """

    name: str
    title: str
    description: str
    settings: dict[str, Any]
    orders: Sequence[tuple[Phase, ...]]
    reverse: bool = False
    pairs: int = 1
    varied: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)

    def study(self, **changes: Any) -> Study:
        """The preset's study, with settings changed on all arms.

        Raises:
            RecipeError: for changes that cannot be trained.
        """
        settings = {**self.settings, **changes}
        recipes: Sequence[Recipe] = [
            Recipe(phases=phases, **{**settings, **dict(zip(self.varied, chosen, strict=True))})
            for chosen in product(*self.varied.values())
            for phases in self.orders
        ]
        if self.reverse:
            recipes = with_reversed(recipes)
        return Study(self.title, name_arms(recipes), self.pairs)


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "try-it",
            "Try it",
            "Both orders on 1,000 small pictures: real training, about a minute.",
            TRY_IT_SETTINGS,
            ((ARTICLE_ALL, ARTICLE_HEAD),),
            reverse=True,
        ),
        Preset(
            "article",
            "The article's run",
            "ResNet-50 under its own ImageNet softmax, CIFAR-10 at 224 px: all layers first, "
            "then the head.",
            ARTICLE_SETTINGS,
            ((ARTICLE_ALL, ARTICLE_HEAD),),
        ),
        Preset(
            "keras-guide",
            "The Keras guide's order",
            "The head first on pooled features, then all layers gently, BatchNorm as pretrained.",
            {**ARTICLE_SETTINGS, "head_input": "pooled-avg", "batchnorm": "as pretrained"},
            ((ARTICLE_HEAD, ARTICLE_ALL),),
        ),
        Preset(
            "fine-tune-again",
            "Fine-tune again at the end",
            "The article's open question: does a second fine-tuning after its run help? And would "
            "as many epochs of it at the start help as much?",
            ARTICLE_SETTINGS,
            (
                (ARTICLE_ALL, ARTICLE_HEAD),
                (ARTICLE_ALL, ARTICLE_HEAD, ARTICLE_ALL),
                (replace(ARTICLE_ALL, epochs=2 * ARTICLE_ALL.epochs), ARTICLE_HEAD),
            ),
        ),
        Preset(
            "efficientnet",
            "EfficientNet instead",
            "The article's other open question: its run with EfficientNet-B0.",
            {**ARTICLE_SETTINGS, "backbone": "efficientnetb0"},
            ((ARTICLE_ALL, ARTICLE_HEAD),),
        ),
        Preset(
            "six-orders",
            "All six orders",
            "Head, all, and every way to combine them, with the controls that make an order "
            "interpretable.",
            TRY_IT_SETTINGS,
            SIX_ORDERS,
        ),
        Preset(
            "order-or-head-input",
            "Order or head input?",
            "All six orders under three head inputs, ten pairs: the smallest answer to the "
            "article, in which both were changed at once.",
            TRY_IT_SETTINGS,
            SIX_ORDERS,
            pairs=10,
            varied={"head_input": ("pooled-avg", "logits", "softmax")},
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name; raises CatalogError, listing the names there are."""
    if name not in PRESETS:
        raise CatalogError(f"There is no preset {name!r}: choose {', '.join(PRESETS)}.")
    return PRESETS[name]
