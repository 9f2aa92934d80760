"""What a run of an arm costs, and whether two arms' budgets can be compared.

Steps and forward-equivalents follow from the recipe: a step on an image costs one forward pass, and
two more for the gradients of what it trains, whatever Thaw need not compute twice. Seconds are
measured.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.analysis.work import share_trained, sizes_of, total_work
from tl_engine.recipe import Recipe

TOLERANCE = 0.05
"""Budgets that differ by more than this part of the smaller one are not comparable."""


class Budget(NamedTuple):
    """What one run of an arm costs: `steps` and `forward_equivalents`; the forward passes that Thaw
    makes where every phase trains all its epochs, with cached features, measurements and the test
    split included; mean seconds of the runs, as if no result were reused, and as spent."""

    steps: float
    forward_equivalents: float
    forward_passes: float
    cold_seconds: float = math.nan
    seconds: float = math.nan


def steps(recipe: Recipe, epochs: Sequence[float] | None = None) -> float:
    """Optimizer steps of a run; the last batch of an epoch may be a small one. `epochs` are those
    that each phase trained, of which one that may end early can have fewer than the recipe."""
    per_epoch = math.ceil(recipe.training_images / recipe.batch_size)
    return per_epoch * (sum(epochs) if epochs else recipe.total_epochs)


def forward_equivalents(recipe: Recipe, epochs: Sequence[float] | None = None) -> float:
    """Forward passes of one image that the training steps of a run (`epochs` as in `steps`) stand
    for: 1 per image for a head, 3 for all layers, in between by the share of blocks that a phase
    trains."""
    trained = zip(recipe.phases, epochs or [phase.epochs for phase in recipe.phases], strict=True)
    per_image = sum(count * (1 + 2 * share_trained(recipe, phase)) for phase, count in trained)
    return recipe.training_images * per_image


def in_words(recipes: Iterable[Recipe]) -> str:
    """What a run of these recipes costs: "a run: 96 steps, 12,000 forward-equivalents"; the least
    and the most where they differ, "at most" where a phase may end early."""
    different = set(recipes)
    costs = {(steps(recipe), forward_equivalents(recipe)) for recipe in different}
    is_most = any(phase.patience for recipe in different for phase in recipe.phases)
    spans = [
        " to ".join(f"{cost:,.0f}" for cost in sorted({min(measure), max(measure)}))
        for measure in zip(*costs, strict=True)
    ]
    most = "at most " if is_most else ""
    return "a run: {}{} steps, {} forward-equivalents".format(most, *spans) if spans else ""


def per_epoch(history: pd.DataFrame, recipes: Mapping[tuple[str, str], Recipe]) -> pd.DataFrame:
    """The history with what each epoch cost, columns steps and forward_equivalents, given the
    recipes of its arms by (study, arm)."""
    costs = {}
    for key, recipe in recipes.items():
        for place, alone in enumerate(np.eye(len(recipe.phases)).tolist()):  # an epoch of it
            costs[*key, place] = steps(recipe, alone), forward_equivalents(recipe, alone)
    rows = zip(history["study"], history["arm"], history["phase"], strict=True)
    spent = np.array([costs[row] for row in rows], float).reshape(-1, 2)
    return history.assign(steps=spent[:, 0], forward_equivalents=spent[:, 1])


def budget(recipe: Recipe, history: pd.DataFrame) -> Budget:
    """What a run of an arm costs, on average over the finished runs in its history; where there is
    none, the seconds are NaN."""
    spent = history.groupby("run")[["cold_seconds", "seconds"]].sum(skipna=False)
    epochs = None
    if len(history):
        counts = history.groupby("phase").size() / len(spent)
        epochs = [float(counts.get(phase, 0.0)) for phase in range(len(recipe.phases))]
    return Budget(
        steps(recipe, epochs),
        forward_equivalents(recipe, epochs),
        total_work(recipe, sizes_of(recipe)),
        float(spent["cold_seconds"].astype(float).mean()),
        float(spent["seconds"].astype(float).mean()),
    )


def times_as_much(first: Budget, second: Budget) -> Budget:
    """How many times as much the first costs in each measure; NaN where that is not known."""
    return Budget(*map(_ratio, first, second))


def apart(ratio: float) -> float:
    """By which part of the smaller one two budgets of this ratio differ: 0.05 for 1.05 times."""
    return max(ratio, 1 / ratio if ratio else math.inf) - 1


def are_comparable(first: Budget, second: Budget) -> bool:
    """Whether neither steps nor forward-equivalents differ by more than 5 %."""
    steps_ratio, work_ratio, *_ = times_as_much(first, second)
    return max(apart(steps_ratio), apart(work_ratio)) <= TOLERANCE + 1e-9


def on_frontier(costs: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Which (n,) of n costs and values no other beats: none costs as little or less for as much or
    more, and is better in one of the two (Pareto). What is NaN is never on it."""
    costs, values = np.asarray(costs, float), np.asarray(values, float)
    as_good = (costs[:, None] <= costs) & (values[:, None] >= values)
    better = (costs[:, None] < costs) | (values[:, None] > values)
    is_complete = np.isfinite(costs) & np.isfinite(values)
    return is_complete & ~(as_good & better).any(axis=0)


def _ratio(first: float, second: float) -> float:
    if second:
        return first / second
    return 1.0 if first == second else math.inf
