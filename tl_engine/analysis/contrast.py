"""The contrast: two recipes, the factors in which they differ, and whether they can be compared.

A difference is attributable to one factor only where that factor alone differs and both cost the
same. Recipes with the same phases in another order differ in the factor "order"; with other
phases, in the factor "phases", and nobody may call that an order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pandas as pd

from tl_engine.analysis.budgets import Budget, apart, are_comparable, times_as_much
from tl_engine.catalog.settings import OPTIMIZERS
from tl_engine.errors import RecipeError
from tl_engine.recipe import SETTINGS, Recipe
from tl_engine.text import counted

ORDER, PHASES = "order", "phases"
DATASET = "dataset"
MISSING = "–"
MOST_COLUMNS = 4
"""Arms beside one another; more would not fit on a page."""


class Contrast(NamedTuple):
    """Two recipes, and how they differ.

    Attributes:
        factors: what differs, as `factors_of` has it.
        steps_apart, work_apart: by which part of the smaller one optimizer steps and
            forward-equivalents differ.
        has_equal_budgets: whether neither differs by more than 5 %.
    """

    first: Recipe
    second: Recipe
    factors: tuple[str, ...]
    steps_apart: float
    work_apart: float
    has_equal_budgets: bool

    def refusal(self, first: str, second: str, *, any_budget: bool = False) -> str:
        """Why the arms of these names cannot be compared, `any_budget` also where they cost
        differently; empty where they can."""
        begins = f"{first} and {second} cannot be compared:"
        if len(self.factors) > 1:
            *most, last = self.factors
            count = len(self.factors)
            return f"{begins} they differ in {count} settings, {', '.join(most)} and {last}."
        if DATASET in self.factors:
            return f"{begins} they are measured on other images."
        if not self.has_equal_budgets and not any_budget:
            return (
                f"{begins} their budgets differ, optimizer steps by {self.steps_apart:.0%} and "
                f"forward-equivalents by {self.work_apart:.0%}."
            )
        return ""

    def fair(self) -> tuple[Recipe, Recipe] | None:
        """Two recipes that differ in one factor alone, the first that can be, and cost the same:
        the first one, and it with its phases reversed, or with the other's setting; None where
        there is no such."""
        rivals = (self._rival(factor) for factor in self.factors or (ORDER,))
        rival = next(filter(None, rivals), None)
        return (self.first, rival) if rival else None

    def _rival(self, factor: str) -> Recipe | None:
        """The first recipe with that factor changed; None where there is none."""
        try:
            if factor == ORDER:
                rival = replace(self.first, phases=self.second.phases)
            elif factor == PHASES:
                rival = self.first.reversed()
            else:
                name = factor.replace(" ", "_")
                rival = replace(self.first, **{name: getattr(self.second, name)})
        except RecipeError:  # such as weights that only the other's backbone has
            return None
        return None if rival == self.first or factor == DATASET else rival


def contrast(first: Recipe, second: Recipe, budgets: tuple[Budget, Budget]) -> Contrast:
    """How two recipes differ, given what a run of each costs."""
    times = times_as_much(*budgets)
    return Contrast(
        first,
        second,
        factors_of(first, second),
        apart(times.steps),
        apart(times.forward_equivalents),
        are_comparable(*budgets),
    )


def factors_of(first: Recipe, second: Recipe) -> tuple[str, ...]:
    """What differs between two recipes, in words: "order" or "phases" first, then settings."""
    order: tuple[str, ...] = ()
    if first.phases != second.phases:
        order = (ORDER,) if Counter(first.phases) == Counter(second.phases) else (PHASES,)
    settings = (name for name in SETTINGS if _value(first, name) != _value(second, name))
    return (*order, *(name.replace("_", " ") for name in settings))


def _value(recipe: Recipe, name: str) -> object:
    return recipe.training_images if name == "train_images" else getattr(recipe, name)


def differences(named: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """A row for each setting that is not the same in all arms, a column per arm, given each arm's
    settings as plain data: phases become a phrase per position, settings within settings a path
    such as "augmentation · flip"."""
    readable = {name: _readable(settings) for name, settings in named.items()}
    frame = pd.DataFrame(readable, dtype=str).fillna(MISSING).rename_axis("setting")
    return frame[frame.nunique(axis=1) > 1]


def narrow(frame: pd.DataFrame) -> pd.DataFrame:
    """Differences with a row per arm where there are many arms, so that they fit on a page."""
    return frame if len(frame.columns) <= MOST_COLUMNS else frame.T.rename_axis("Arm")


def _readable(settings: Mapping[str, Any]) -> dict[str, str]:
    lines: dict[str, str] = {}
    for name, value in settings.items():
        title = name.replace("_", " ")
        if name == "phases":
            lines |= {f"phase {place}": _phrase(phase) for place, phase in enumerate(value, 1)}
        elif isinstance(value, Mapping):
            lines |= {f"{title} · {inner}": word for inner, word in _readable(value).items()}
        else:
            lines[title] = _word(value)
    return lines


def _phrase(phase: Mapping[str, Any]) -> str:
    layers = {"head": "head only", "all": "all layers"}.get(phase["trainable"])
    words = [
        layers or f"top {counted(phase['trainable'], 'block')}",
        counted(phase["epochs"], "epoch"),
        f"{OPTIMIZERS[phase['optimizer']]} at {_word(float(phase['learning_rate']))}",
    ]
    if phase.get("schedule", "constant") != "constant":
        words[-1] += " falling along a cosine"
    if patience := phase.get("patience"):
        words.append(f"at most {patience} without gain")
    return ", ".join(words)


def _word(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {True: "on", False: "off", None: "all"}[value]
    if isinstance(value, float):  # every digit: a rounded number would hide a difference
        return str(value).removesuffix(".0").replace("e-0", "e-")
    return str(value)
