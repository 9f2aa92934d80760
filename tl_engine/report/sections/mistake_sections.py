"""One arm's mistakes as images: the surest ones, and the classes that are confused most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tl_engine.analysis.predictions import (
    Predictions,
    confused_pairs,
    confusion_counts,
    misclassified,
)
from tl_engine.catalog.datasets import dataset
from tl_engine.report.arms import Arm
from tl_engine.report.pictures import pictures
from tl_engine.report.saved_predictions import pooled, seeds_summed
from tl_engine.report.section import Section, nothing
from tl_engine.report.shown_results import Results

SUREST, CONFUSED = "The surest", "Classes confused most"
MOST_PAIRS_OF_CLASSES = 5
"""So many pairs of classes are shown with images."""
EXAMPLES = 8
"""Images of each."""


def mistakes(
    results: Results,
    *,
    arm: Arm | None = None,
    pairs: Sequence[int] = (),
    kind: str = SUREST,
) -> list[Section]:
    """The images that an arm gets wrong.

    Args:
        arm: with a finished run; by default the first of them.
        pairs: whose predictions are counted; by default all that have finished.
        kind: SUREST, those of the highest confidence, or CONFUSED, by pairs of classes.
    """
    arm = arm or next((one for one in results.contrast_first if one.finished), None)
    if arm is None:
        return nothing("mistakes", "Mistakes appear when a run has finished.")
    pairs = pairs or list(arm.finished)
    predictions = pooled(arm.finished, pairs)
    notes = seeds_summed(len(pairs))
    sections = [Section(key="seeds", notes=notes)] if notes else []
    if kind == CONFUSED:
        return [*sections, *_confused(arm, predictions)]
    surest = pictures([arm], [predictions], misclassified(predictions))
    return [*sections, Section(key="mistakes", pictures=surest)]


def _confused(arm: Arm, predictions: Predictions) -> list[Section]:
    """Pairs of classes that are taken for one another, each with its surest mistakes."""
    counts = confusion_counts(predictions.labels, predictions.predicted, predictions.classes)
    confused = confused_pairs(counts)
    shown = confused.head(MOST_PAIRS_OF_CLASSES).to_dict("records")
    more = len(confused) - len(shown)
    note = f"{more:,} more couples of classes are confused." if more > 0 else "No more."
    return [
        *(_between(arm, predictions, pair) for pair in shown),
        *nothing("confused-more", note),
    ]


def _between(arm: Arm, predictions: Predictions, counts: dict) -> Section:
    """The mistakes between two classes, of which `confused_pairs` has the counts."""
    classes = [counts["one"], counts["other"]]
    first, second = (dataset(arm.recipe.dataset).class_names[place] for place in classes)
    surest = misclassified(predictions)
    among = np.isin(predictions.labels, classes) & np.isin(predictions.predicted, classes)
    return Section(
        key=f"confused-{classes[0]}-{classes[1]}",
        title=f"{first} and {second}:",
        text=f"{counts['images']:,} mistakes; {first} taken for {second} "
        f"{counts['one_as_other']:,}, {second} for {first} {counts['other_as_one']:,}",
        pictures=pictures([arm], [predictions], surest[among[surest]], EXAMPLES),
    )
