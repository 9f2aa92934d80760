"""Mistakes: which classes are taken for which by one arm or two, and the images of mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd

from tl_engine.analysis.predictions import (
    Predictions,
    check_same_images,
    confused_pairs,
    confusion_counts,
    in_cell,
    misclassified,
    only_in_first,
)
from tl_engine.charts.heat_maps import confusion_difference, confusion_matrix
from tl_engine.charts.heatmap_cells import Cell
from tl_engine.charts.style import ARMS
from tl_engine.report.arms import Arm
from tl_engine.report.saved_predictions import pairs_words, pooled, seeds_summed
from tl_engine.report.section import Drawing, Section, charted, note, pictures
from tl_engine.report.shown_results import Results, common_pairs, cost_of
from tl_engine.text import plain

FIRST, SECOND, DIFFERENCE = "first", "second", "difference"
SUREST, CONFUSED = "The surest", "Classes confused most"
MOST_PAIRS_OF_CLASSES = 5
"""So many pairs of classes are shown with images."""
EXAMPLES = 8
"""Images of each."""


def choices(results: Results, first: Arm | None = None) -> list[Arm]:
    """The arms with confusions, those that are compared first; with an arm that is shown already,
    those that can be held against it."""
    done = results.contrast_first
    if first is None:
        return done
    data = first.recipe.dataset
    return [arm for arm in done if arm.recipe.dataset == data and arm.key != first.key]


def confusion(results: Results, *, arms: Sequence[Arm] = ()) -> list[Section]:
    """Confusion matrices of one or two of `choices` (by default the first of them and the first
    against it), and the difference of two."""
    shown = list(arms) or choices(results)[:1]
    if not shown:
        return note("confusion", "Confusions appear when a run has finished.")
    if not arms:
        shown += choices(results, shown[0])[:1]
    data = shown[0].recipe.described_dataset
    names, counts = list(data.class_names), [_confusions(arm) for arm in shown]
    sections = [
        charted(
            f"cell-{data.name}-{place}",
            f"Confusion matrix of {plain(arm.title)}",
            Drawing(
                confusion_matrix, (of_arm, names, arm.title, len(arm.finished)), cost_of([arm])
            ),
            numbers=_table(names, {"images": of_arm}),
        )
        for place, arm, of_arm in zip((FIRST, SECOND), shown, counts, strict=False)
    ]
    sections += seeds_summed(max(len(arm.finished) for arm in shown))
    if len(shown) == 2:
        sections.append(_difference(f"cell-{data.name}-{DIFFERENCE}", shown, counts, names))
    return sections


def _confusions(arm: Arm) -> np.ndarray:
    """Validation confusion counts (classes, classes), summed over the arm's finished runs."""
    runs = arm.finished.values()
    return np.sum([run.scores["splits"]["validation"]["confusion"] for run in runs], axis=0)


def _difference(
    key: str, shown: Sequence[Arm], counts: Sequence[np.ndarray], names: list[str]
) -> Section:
    first, second = shown
    colours = (first.colour, second.colour)
    if first.colour == second.colour:  # with more arms than colours two of them share one
        colours = (ARMS[0], ARMS[1])
    arguments = (*counts, names, first.title, second.title, colours)
    return charted(
        key,
        "Difference of the two confusion matrices",
        Drawing(confusion_difference, arguments, cost_of(shown)),
        numbers=_table(names, dict(zip((FIRST, SECOND), counts, strict=True))),
    )


def _table(names: list[str], counts: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """A row per cell: true and predicted class, and the counts (classes, classes)."""
    cells = pd.DataFrame(product(names, names), columns=["true", "said"])
    return cells.assign(**{name: of_arm.ravel() for name, of_arm in counts.items()})


def images_of(shown: Sequence[Arm], whose: str, cell: Cell) -> list[Section]:
    """The images of a cell of one arm or two.

    Args:
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
    if not (pairs := common_pairs(*shown)):
        why = "No pair has finished in both arms, so no image can be held against itself."
        return note("only", why)
    predictions = {arm.key: pooled(arm.finished, pairs) for arm in shown}
    sections = []
    for place, arms in enumerate((shown, shown[::-1])):
        mine, other = (predictions[arm.key] for arm in arms)
        sections.append(
            Section(
                key=f"only-{place}",
                title=_happened(arms[0], cell),
                text=f"by {arms[0].title} and not by {arms[1].title}, {pairs_words(pairs)}",
                pictures=pictures(arms, [mine, other], only_in_first(mine, other, *cell)),
            )
        )
    return sections


def _happened(arm: Arm, cell: Cell) -> str:
    """What happened in a cell, in words."""
    names = arm.recipe.described_dataset.class_names
    true, predicted = (names[place] for place in cell)
    return f"{true} recognised" if true == predicted else f"{true} taken for {predicted}"


def mistakes(
    results: Results, *, arm: Arm | None = None, pairs: Sequence[int] = (), kind: str = SUREST
) -> list[Section]:
    """The images that an arm (by default the first with a finished run) gets wrong in these pairs
    (by default all that have finished): SUREST, those of the highest confidence, or CONFUSED, by
    pairs of classes."""
    arm = arm or next(iter(results.contrast_first), None)
    if arm is None:
        return note("mistakes", "Mistakes appear when a run has finished.")
    pairs = pairs or list(arm.finished)
    predictions = pooled(arm.finished, pairs)
    notes = seeds_summed(len(pairs))
    if kind == CONFUSED:
        return [*notes, *_confused(arm, predictions)]
    surest = pictures([arm], [predictions], misclassified(predictions))
    return [*notes, Section(key="mistakes", pictures=surest)]


def _confused(arm: Arm, predictions: Predictions) -> list[Section]:
    """Pairs of classes that are taken for one another, each with its surest mistakes."""
    counts = confusion_counts(predictions.labels, predictions.predicted, predictions.classes)
    confused = confused_pairs(counts)
    shown = confused.head(MOST_PAIRS_OF_CLASSES).to_dict("records")
    more = len(confused) - len(shown)
    words = f"{more:,} more couples of classes are confused." if more > 0 else "No more."
    sections = [_between(arm, predictions, pair) for pair in shown]
    return [*sections, *note("confused-more", words)]


def _between(arm: Arm, predictions: Predictions, counts: dict) -> Section:
    """The mistakes between two classes, of which `confused_pairs` has the counts."""
    classes = [counts["one"], counts["other"]]
    first, second = (arm.recipe.described_dataset.class_names[place] for place in classes)
    surest = misclassified(predictions)
    among = np.isin(predictions.labels, classes) & np.isin(predictions.predicted, classes)
    return Section(
        key=f"confused-{classes[0]}-{classes[1]}",
        title=f"{first} and {second}:",
        text=f"{counts['images']:,} mistakes; {first} taken for {second} "
        f"{counts['one_as_other']:,}, {second} for {first} {counts['other_as_one']:,}",
        pictures=pictures([arm], [predictions], surest[among[surest]], EXAMPLES),
    )
