"""Which classes are taken for which, by one arm or two, and the images of a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from tl_engine.analysis.predictions import check_same_images, in_cell, only_in_first
from tl_engine.catalog.datasets import dataset
from tl_engine.charts.colours import ARMS
from tl_engine.charts.confusion_matrix import confusion_difference, confusion_matrix
from tl_engine.charts.heatmap_cells import Cell
from tl_engine.report.arms import Arm
from tl_engine.report.pictures import pictures
from tl_engine.report.saved_predictions import pairs_words, pooled, seeds_summed
from tl_engine.report.section import Section, charted, nothing
from tl_engine.report.shown_results import Results, common_pairs, cost_of
from tl_engine.text import plain

FIRST, SECOND, DIFFERENCE = "first", "second", "difference"


def choices(results: Results, first: Arm | None = None) -> list[Arm]:
    """The arms with confusions, those that are compared first; of these, which can be held against
    one of them.

    Args:
        first: the arm that is shown already.
    """
    done = [arm for arm in results.contrast_first if arm.finished]
    if first is None:
        return done
    data = first.recipe.dataset
    return [arm for arm in done if arm.recipe.dataset == data and arm.key != first.key]


def confusion(results: Results, *, arms: Sequence[Arm] = ()) -> list[Section]:
    """Confusion matrices of one arm or two, and the difference of two.

    Args:
        arms: one or two of `choices`; by default the first of them and the first against it.
    """
    if not (shown := list(arms) or _first_two(results)):
        return nothing("confusion", "Confusions appear when a run has finished.")
    data = dataset(shown[0].recipe.dataset)
    names, counts = list(data.class_names), [confusions(arm) for arm in shown]
    key = f"cell-{data.name}"
    sections = [
        charted(
            f"{key}-{place}",
            f"Confusion matrix of {plain(arm.title)}",
            confusion_matrix,
            of_arm,
            names,
            arm.title,
            len(arm.finished),
            cost=cost_of([arm]),
            numbers=_table(names, {"images": of_arm}),
        )
        for place, arm, of_arm in zip((FIRST, SECOND), shown, counts, strict=False)
    ]
    if notes := seeds_summed(max(len(arm.finished) for arm in shown)):
        sections.append(Section(key="seeds", notes=notes))
    if len(shown) == 2:
        sections.append(_difference(key, shown, counts, names))
    return sections


def confusions(arm: Arm) -> np.ndarray:
    """Validation confusion counts (classes, classes), summed over the arm's finished runs, at least
    one."""
    runs = arm.finished.values()
    return np.sum([run.scores["splits"]["validation"]["confusion"] for run in runs], axis=0)


def images_of(shown: Sequence[Arm], whose: str, cell: Cell) -> list[Section]:
    """The images of a cell.

    Args:
        shown: one arm or two.
        whose: FIRST or SECOND for those of one arm, with what the other predicted where it has the
            same runs; DIFFERENCE for those of each that are not in the other's cell.

    Raises:
        ComparisonError: where the runs of a pair have other images.
    """
    if whose == DIFFERENCE:
        return _images_of_difference(shown, cell)
    place = (FIRST, SECOND).index(whose)
    arm, *others = [*shown[place:], *shown[:place]]
    pairs = list(arm.finished)
    arms = [arm, *(other for other in others if set(pairs) <= other.finished.keys())]
    predictions = [pooled(one.finished, pairs) for one in arms]
    for of_other in predictions[1:]:
        check_same_images(predictions[0], of_other)
    return [
        Section(
            key=f"cell-of-{place}",
            title=_happened(arm, cell),
            text=f"by {arm.title}, {pairs_words(pairs)}",
            pictures=pictures(arms, predictions, in_cell(predictions[0], *cell)),
        )
    ]


def _images_of_difference(shown: Sequence[Arm], cell: Cell) -> list[Section]:
    first, second = shown
    if not (pairs := common_pairs(first, second)):
        why = "No pair has finished in both arms, so no image can be held against itself."
        return nothing("only", why)
    predictions = {arm.key: pooled(arm.finished, pairs) for arm in shown}
    sections = []
    for place, arms in enumerate(((first, second), (second, first))):
        mine, other = (predictions[arm.key] for arm in arms)
        sections.append(
            Section(
                key=f"only-{place}",
                title=_happened(first, cell),
                text=f"by {arms[0].title} and not by {arms[1].title}, {pairs_words(pairs)}",
                pictures=pictures(arms, [mine, other], only_in_first(mine, other, *cell)),
            )
        )
    return sections


def _first_two(results: Results) -> list[Arm]:
    done = choices(results)
    return [*done[:1], *choices(results, done[0])[:1]] if done else []


def _difference(
    key: str, shown: Sequence[Arm], counts: Sequence[np.ndarray], names: list[str]
) -> Section:
    first, second = shown
    colours = (first.colour, second.colour)
    if first.colour == second.colour:  # with more arms than colours two of them share one
        colours = (ARMS[0], ARMS[1])
    return charted(
        f"{key}-{DIFFERENCE}",
        "Difference of the two confusion matrices",
        confusion_difference,
        *counts,
        names,
        first.title,
        second.title,
        colours,
        cost=cost_of(shown),
        numbers=_table(names, dict(zip((FIRST, SECOND), counts, strict=True))),
    )


def _table(names: list[str], counts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row per cell: true and predicted class, and the counts (classes, classes)."""
    cells = pd.DataFrame(product(names, names), columns=["true", "said"])
    return cells.assign(**{name: of_arm.ravel() for name, of_arm in counts.items()})


def _happened(arm: Arm, cell: Cell) -> str:
    """What happened in a cell, in words."""
    names = dataset(arm.recipe.dataset).class_names
    true, predicted = (names[place] for place in cell)
    return f"{true} recognised" if true == predicted else f"{true} taken for {predicted}"
