"""Verdicts over seeds and images: what the finished runs of a contrast scored, image by image."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tl_engine.analysis.image_variance import OverImages, PairImages, in_images, over_images
from tl_engine.analysis.rule import AT_END, analyses
from tl_engine.analysis.verdict import Interval
from tl_engine.catalog.datasets import dataset
from tl_engine.errors import ComparisonError, StoreError, ThawError
from tl_engine.metric import ACCURACY, Metric
from tl_engine.report.judgement import ArmOfRuns, Judged, Question, pairs_in
from tl_engine.runs import Run
from tl_engine.runs.evidence import of_store
from tl_engine.runs.run_outputs import probabilities
from tl_engine.storage.memory import FolderCache
from tl_engine.text import plain

if TYPE_CHECKING:
    import pandas as pd

SMALLEST_PROBABILITY = 2.0**-24
"""The smallest that is stored above 0: a half-precision number."""
ImageScores = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of a run's validation images: index, whether it was right, and loss."""
_scores: FolderCache[ImageScores] = FolderCache(maximum=400)


def over_images_of(arms: Sequence[ArmOfRuns], one: Judged, question: Question) -> OverImages | None:
    """The contrast's second interval; None where it has no first.

    Raises:
        StoreError: where a run left no probabilities, or they are damaged.
        ComparisonError: where the two runs of a pair scored other images, or where pairs stand in
            studies that are not chosen.
    """
    if one.verdict is None or one.verdict.interval is None:
        return None
    first, second = ({run.pair: run for run in arms[at].runs} for at in (one.first, one.second))
    seeds, narrow = _decided_by(one, question)
    if missing := set(seeds) - (first.keys() & second.keys()):
        raise ComparisonError(
            f"The comparison is pooled with pairs of {_studies_of(missing, arms, one)}: the "
            "interval over images needs their probabilities. Choose these studies too; without "
            "those that were deleted there is no such interval."
        )
    pairs = [_pair(first[seed], second[seed], question.metric) for seed in seeds]
    return over_images(one.verdict, pairs, question.smallest, narrow=narrow, metric=question.metric)


def _studies_of(pairs: set[int], arms: Sequence[ArmOfRuns], one: Judged) -> str:
    """The titles of the studies that computed these pairs, but for the chosen ones."""
    chosen = {run.study.id for at in (one.first, one.second) for run in arms[at].runs}
    runs = (run for two in (one.found.pairs if one.found else ()) for run in two)
    studies = dict.fromkeys(run.study for run in runs if run.pair in pairs)
    known = of_store(arms[one.first].runs[0].study.path.parent)
    titles = [plain(known.title(study), 60) for study in studies if study not in chosen]
    return ", ".join(titles) or "other studies"


def _decided_by(one: Judged, question: Question) -> tuple[list[int], Interval | None]:
    """The pairs that a verdict is of, and, where they were planned, the interval that shows
    equivalence."""
    every = [int(seed) for seed in one.pairs["seed"]]
    if one.verdict is None or one.verdict.procedure not in AT_END:
        return every, None
    planned = next(a for a in analyses(pairs_in(one, "", "", question)) if a.variance is None)
    plan = one.found.plan if one.found else None
    seeds = [first.pair for first, _ in plan] if plan else every
    return seeds, planned.equivalence_interval(one.verdict.mistake)


def about_seeds(run: Run, question: Question) -> str:
    """What the interval over seeds is about, in sentences.

    Args:
        run: any of the contrast.
    """
    images = run.recipe.validation_images
    if dataset(run.recipe.dataset).validation:
        about = (
            f"The verdict's interval is over seeds: it is about these {images:,} validation "
            "images and leaves out what other images would change."
        )
    else:
        about = (
            f"The verdict's interval is over seeds, each with {images:,} validation images of its "
            "own, drawn from the same training images: pairs share some of them, and it leaves "
            "out part of what other images would change."
        )
    return f"{about} {in_images(question.smallest, images, question.metric)}".strip()


def with_images(
    table: pd.DataFrame, arms: Sequence[ArmOfRuns], judged: Sequence[Judged], question: Question
) -> pd.DataFrame:
    """A table of verdicts (`judgement.table_of`) with columns low_images, high_images (NaN without
    a second interval) and over_images (sentences)."""
    rows = [_row(arms, one, question) for one in judged]
    names = ("low_images", "high_images", "over_images")
    return table.assign(**{name: [row[n] for row in rows] for n, name in enumerate(names)})


def _row(arms: Sequence[ArmOfRuns], one: Judged, question: Question) -> tuple[float, float, str]:
    try:
        found = over_images_of(arms, one, question)
    except ThawError as error:
        return math.nan, math.nan, f"Over images: not known. {error}"
    if found is None:
        return math.nan, math.nan, ""
    about = about_seeds(arms[one.first].runs[0], question)
    return *found.interval, f"{about} {found.sentence}"


def _pair(first: Run, second: Run, metric: Metric) -> PairImages:
    ours, theirs = _scores_of(first), _scores_of(second)
    if not np.array_equal(ours[0], theirs[0]):
        raise ComparisonError(
            f"The runs of a pair score the same validation images, but those of {first.id} and "
            f"{second.id} differ: choose arms whose pairs share their seeds and their dataset."
        )
    column = 1 if metric.name == ACCURACY.name else 2
    return PairImages(ours[0], ours[column].astype(float) - theirs[column])


def _scores_of(run: Run) -> ImageScores:
    return _scores.get(run.path, lambda: _read(run))


def _read(run: Run) -> ImageScores:
    arrays = probabilities(run)
    if "validation" not in arrays:
        raise StoreError(f"Run {run.id} left no probabilities of validation images.")
    said, labels = arrays["validation"], arrays["validation_labels"].astype(int)
    of_truth = said[np.arange(len(labels)), labels].astype(np.float32)
    loss = -np.log(np.maximum(of_truth, SMALLEST_PROBABILITY))
    return arrays["validation_indices"], said.argmax(axis=1) == labels, loss
