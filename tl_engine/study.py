"""The question: a Study of one or more named recipes (arms) over paired seeds.

Pair k gives every arm the same split, the same head initialisation and the same batch order,
so that two arms differ in their recipe and in nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from tl_engine.catalog.datasets import Dataset
from tl_engine.catalog.settings import is_whole
from tl_engine.errors import Problem, RecipeError
from tl_engine.metric import METRICS
from tl_engine.recipe import SETTINGS, Recipe
from tl_engine.text import is_writable, lines, plain

MAXIMUM_PAIRS = 100
MAXIMUM_ARMS = 40
MAXIMUM_NAME = 200
MAXIMUM_FIRST_PAIR = 1_000_000


class Seeds(NamedTuple):
    """The named seeds of a run, each below 2**31.

    Attributes:
        data: carves the validation split and draws the subset of training images.
        head: initialises the head (and, when not pretrained, the backbone).
        order: shuffles the batches and drives augmentation and dropout, epoch by epoch.
    """

    data: int
    head: int
    order: int

    @classmethod
    def of_pair(cls, pair: int) -> Seeds:
        """The seeds of pair number `pair` (1-based), the same in every arm of every study."""
        # SeedSequence hashes its entropy, so that neighbouring pairs are unrelated.
        state = np.random.SeedSequence(pair).generate_state(3)
        return cls(*(int(word) >> 1 for word in state))

    def for_epoch(self, epoch: int) -> int:
        """The seed of one epoch (1-based, continuous over phases), derived from `order`."""
        return int(np.random.SeedSequence([self.order, epoch]).generate_state(1)[0]) >> 1


@dataclass(frozen=True)
class Arm:
    """A recipe with the name that people give it."""

    name: str
    recipe: Recipe


@dataclass(frozen=True)
class Expectation:
    """What somebody expected before the first run.

    Attributes:
        arm: the name of the arm expected to be ahead of the others.
        by: by how much, in the study's metric, above 0.
    """

    arm: str
    by: float


@dataclass(frozen=True)
class Study:
    """A question put to several runs, fixed before the first of them.

    Attributes:
        title: what people call it.
        arms: the recipes compared, with distinct names.
        pairs: number of paired seeds, 1 to 100; each arm is trained once per pair.
        metric: the history column that decides, one of METRICS.
        smallest_difference: the smallest difference in `metric` that matters, above 0 (0.005 = 0.5
            percentage points).
        expectation: None where nobody said what to expect.
        first_pair: number of its first pair; above 1 where seeds are wanted that no study used.

    Raises:
        RecipeError: naming every field that is refused.
    """

    title: str
    arms: tuple[Arm, ...]
    pairs: int = 1
    metric: str = "val_accuracy"
    smallest_difference: float = 0.005
    expectation: Expectation | None = None
    first_pair: int = 1

    def __post_init__(self) -> None:
        problems = [
            Problem(name, f"{right}, got {given}.")
            for name, is_right, right, given in self._checks()
            if not is_right
        ]
        if problems:
            raise RecipeError(problems)

    @property
    def digest(self) -> str:
        """12 hex digits that tell what is asked from anything else; what it is called does not
        count."""
        question = {name: value for name, value in self.to_dict().items() if name != "title"}
        return hashlib.sha256(json.dumps(question, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def pair_numbers(self) -> range:
        """Numbers of its planned pairs: pair k has the same seeds in every study."""
        return range(self.first_pair, self.first_pair + self.pairs)

    def runs(self) -> Iterator[tuple[int, int]]:
        """(arm index, pair number) of every run, pair by pair, so that pairs complete early."""
        for pair in self.pair_numbers:
            for arm in range(len(self.arms)):
                yield arm, pair

    def twin(self, arm: int, pairs: int) -> Study | None:
        """A study of one of its arms and the same with its phases reversed; None where that is the
        same recipe."""
        recipe = self.arms[arm].recipe
        if recipe.reversed() == recipe:
            return None
        title = f"{self.arms[arm].name} and its reverse"[:MAXIMUM_NAME]
        arms = name_arms((recipe, recipe.reversed()))
        return replace(self, title=title, arms=arms, pairs=pairs, expectation=None)

    def training_order(self) -> Iterator[tuple[int, int]]:
        """(arm index, pair number) of every run as they are trained: pair by pair, and within a
        pair in `tree_order`."""
        for pair in self.pair_numbers:
            for arm in self.tree_order():
                yield arm, pair

    def tree_order(self) -> list[int]:
        """Indices of the arms: those that begin with the same phases after one another, the
        shorter first."""
        return sorted(range(len(self.arms)), key=self._branch)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the same study back."""
        first = {} if self.first_pair == 1 else {"first_pair": self.first_pair}
        return {
            "title": self.title,
            "arms": [{"name": arm.name, "recipe": arm.recipe.to_dict()} for arm in self.arms],
            "pairs": self.pairs,
            "metric": self.metric,
            "smallest_difference": self.smallest_difference,
            "expectation": asdict(self.expectation) if self.expectation else None,
            **first,  # left out where it says nothing: digests of earlier studies stay
        }

    def datasets(self) -> dict[str, dict[str, Any]]:
        """Plain data of the descriptions of all datasets that its recipes use, by name."""
        snapshots = (arm.recipe.snapshot for arm in self.arms)
        return {one.name: one.to_dict() for one in snapshots if one}

    @classmethod
    def from_dict(
        cls, data: Mapping[str, Any], datasets: Mapping[str, Mapping[str, Any]] | None = None
    ) -> Study:
        """Read what `to_dict` wrote; whether backbones and datasets still exist does not matter.

        Args:
            datasets: what `datasets` gave when the study was written; built-in descriptions are
                used for those that are missing.

        Raises:
            RecipeError: for values of the wrong form.
        """
        snapshots = {name: Dataset.from_dict(one) for name, one in (datasets or {}).items()}

        def recipe(values: Mapping[str, Any]) -> Recipe:
            return Recipe.from_dict(values, snapshots.get(values.get("dataset", "")))

        arms = tuple(Arm(arm["name"], recipe(arm["recipe"])) for arm in data["arms"])
        expected = data.get("expectation")
        expectation = Expectation(**expected) if expected else None
        return cls(**{**data, "arms": arms, "expectation": expectation})

    def _branch(self, arm: int) -> list[int]:
        """For each phase of an arm, the first arm that is the same up to its end."""
        counts = range(1, len(self.arms[arm].recipe.phases) + 1)
        stems = ([other.recipe.stem(count) for other in self.arms] for count in counts)
        return [recipes.index(recipes[arm]) for recipes in stems]

    def _words(self, amount: Any) -> str:
        """An amount in the unit of the metric, where both are such."""
        metric = METRICS.get(self.metric)
        return metric.amount(amount) if metric and _is_number(amount) else repr(amount)

    def _checks(self) -> Iterator[tuple[str, bool, str, object]]:
        """Field, whether it is right, what would be right, and what was given instead."""
        names = [arm.name for arm in self.arms]
        count, pairs, first = len(names), self.pairs, self.first_pair
        yield "arms", 1 <= count <= MAXIMUM_ARMS, f"A study has 1 to {MAXIMUM_ARMS} arms", count
        are_distinct = len({plain(str(name)) for name in names}) == count
        yield "arms", are_distinct, "The arms of a study have different names", names
        for where, name in [("title", self.title), *(("arms", name) for name in names)]:
            is_name = isinstance(name, str) and 1 <= len(lines(name).strip()) <= MAXIMUM_NAME
            given, right = f"{name!r:.60}", f"A name has 1 to {MAXIMUM_NAME} characters"
            yield where, is_name, right, given
            is_unicode = not is_name or is_writable(name)
            yield where, is_unicode, "A name is made of Unicode characters", given
        is_right = is_whole(pairs) and 1 <= pairs <= MAXIMUM_PAIRS
        yield "pairs", is_right, f"A study has 1 to {MAXIMUM_PAIRS} paired seeds", repr(pairs)
        is_right = is_whole(first) and 1 <= first <= MAXIMUM_FIRST_PAIR
        right = f"The first pair of a study is 1 to {MAXIMUM_FIRST_PAIR:,}"
        yield "pairs", is_right, right, f"{first!r:.60}"
        yield from self._question_checks(names)

    def _question_checks(self, names: list[str]) -> Iterator[tuple[str, bool, str, object]]:
        right, given = f"A metric is one of {', '.join(METRICS)}", repr(self.metric)
        yield "metric", self.metric in METRICS, right, given
        smallest, expected = self.smallest_difference, self.expectation
        sizes = {"smallest_difference": ("The smallest difference that matters", smallest)}
        if expected:
            right, given = "An expectation names one of the arms", f"{expected.arm!r:.60}"
            yield "expectation", expected.arm in names, right, given
            sizes["expectation"] = ("An expected difference", expected.by)
        for where, (noun, size) in sizes.items():
            right = f"{noun} is above 0 and at most {self._words(1.0)}"
            yield where, _is_number(size) and 0 < size <= 1, right, self._words(size)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def with_reversed(recipes: Sequence[Recipe]) -> tuple[Recipe, ...]:
    """The recipes, and for each one its twin with the phases reversed, unless it is there."""
    twins = dict.fromkeys(recipe.reversed() for recipe in recipes)
    return (*recipes, *(twin for twin in twins if twin not in recipes))


def differing_settings(recipes: Collection[Recipe]) -> list[str]:
    """Names of the settings in which they differ."""
    return [name for name in SETTINGS if len({getattr(r, name) for r in recipes}) > 1]


def name_arms(recipes: Sequence[Recipe]) -> tuple[Arm, ...]:
    """Arms named after their order of phases and the settings in which they differ; where two share
    all that, after their epochs, then their learning rates; numbered where nothing tells them
    apart."""
    differing = differing_settings(recipes)
    names = [", ".join([name_of_order(r), *_settings(r, differing)]) for r in recipes]
    for words in (_epochs, _rates):
        names = _made_distinct(names, [words(recipe) for recipe in recipes])
    return tuple(
        Arm(name if names.count(name) == 1 else f"{name} ({number})", recipe)
        for number, (name, recipe) in enumerate(zip(names, recipes, strict=True), start=1)
    )


def _made_distinct(names: list[str], words: list[str]) -> list[str]:
    """The names, those that several share with the words where these differ among them."""
    variants = {name: {w for n, w in zip(names, words, strict=True) if n == name} for name in names}
    longer = [
        f"{name}, {word}" if len(variants[name]) > 1 else name
        for name, word in zip(names, words, strict=True)
    ]
    has_room = max(map(len, longer), default=0) <= MAXIMUM_NAME - 5  # for a number that may follow
    return longer if has_room else names


def _epochs(recipe: Recipe) -> str:
    counts = " + ".join(str(phase.epochs) for phase in recipe.phases)
    return "1 epoch" if counts == "1" else f"{counts} epochs"


def _rates(recipe: Recipe) -> str:
    return f"rates {' + '.join(f'{phase.learning_rate:g}' for phase in recipe.phases)}"


def _settings(recipe: Recipe, names: Iterable[str]) -> list[str]:
    return [SETTINGS[name].in_name(name, getattr(recipe, name)) for name in names]


def name_of_order(recipe: Recipe) -> str:
    """What people call the recipe's order of phases, such as "Fine-tune first"."""
    if len(recipe.phases) == 1:
        return "Freeze only" if recipe.phases[0].trainable == "head" else "Fine-tune only"
    words = ["freeze" if phase.trainable == "head" else "fine-tune" for phase in recipe.phases]
    if len(words) == 2 and words[0] != words[1]:
        return f"{words[0].capitalize()} first"
    return ", then ".join(words).capitalize()
