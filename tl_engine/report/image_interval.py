"""Verdicts over seeds and images: what the finished runs of a contrast scored, image by image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.image_variance import OverImages, PairImages, in_images, over_images
from tl_engine.analysis.interval import Interval
from tl_engine.analysis.rule import AT_END, analyses
from tl_engine.analysis.verdict import Verdict
from tl_engine.errors import ComparisonError, StoreError
from tl_engine.metric import ACCURACY, Metric
from tl_engine.report.arms import Arm, evidence_of_arms
from tl_engine.report.judgement import Judged, pairs_in
from tl_engine.report.question import Question
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import probabilities
from tl_engine.storage.memory import FolderCache
from tl_engine.text import plain

SMALLEST_PROBABILITY = 2.0**-24
"""The smallest that is stored above 0: a half-precision number."""


class ImageScores(NamedTuple):
    """A run's validation images.

    Attributes:
        indices: (n,) in the dataset's published array.
        right: (n,) whether its prediction was right, 0 or 1.
        losses: (n,) cross-entropy in nats.
    """

    indices: np.ndarray
    right: np.ndarray
    losses: np.ndarray


_scores: FolderCache[ImageScores] = FolderCache(maximum=400)


def over_images_of(arms: Sequence[Arm], judged: Judged, question: Question) -> OverImages | None:
    """The contrast's second interval; None where it has no first.

    Raises:
        StoreError: where a run left no probabilities, or they are damaged.
        ComparisonError: where the two runs of a pair scored other images, or where pairs stand in
            studies that are not chosen.
    """
    verdict, metric = judged.verdict, question.metric
    if verdict is None or verdict.interval is None:
        return None
    both = arms[judged.first], arms[judged.second]
    first, second = ({run.pair: run for run in arm.runs} for arm in both)
    seeds, narrow = _decided_by(judged, verdict, question)
    if missing := set(seeds) - (first.keys() & second.keys()):
        raise ComparisonError(
            f"The comparison is pooled with pairs of {_studies_of(missing, both, judged)}: the "
            "interval over images needs their probabilities. Choose these studies too; without "
            "those that were deleted there is no such interval."
        )
    pairs = [_pair(first[seed], second[seed], metric) for seed in seeds]
    return over_images(verdict, pairs, question.smallest, narrow=narrow, metric=metric)


def _studies_of(pairs: set[int], arms: Sequence[Arm], judged: Judged) -> str:
    """The titles of the studies that computed these pairs, but for the chosen ones."""
    chosen = {run.study.id for arm in arms for run in arm.runs}
    in_store = judged.evidence.pairs if judged.evidence else ()
    studies = dict.fromkeys(run.study for pair in in_store for run in pair if run.pair in pairs)
    evidence = evidence_of_arms(arms)
    titles = [plain(evidence.title(study), 60) for study in studies if study not in chosen]
    return ", ".join(titles) or "other studies"


def _decided_by(
    judged: Judged, verdict: Verdict, question: Question
) -> tuple[list[int], Interval | None]:
    """The pairs that a verdict is of, and, where they were planned, the interval that shows
    equivalence."""
    every = [int(seed) for seed in judged.pairs["seed"]]
    if verdict.procedure not in AT_END:
        return every, None
    planned = next(a for a in analyses(pairs_in(judged, "", "", question)) if a.variance is None)
    plan = judged.evidence.plan if judged.evidence else None
    seeds = [first.pair for first, _ in plan] if plan else every
    return seeds, planned.equivalence_interval(verdict.alpha)


def about_seeds(run: Run, question: Question) -> str:
    """What the interval over seeds is about, in sentences.

    Args:
        run: any of the contrast.
    """
    images = run.recipe.validation_images
    if run.recipe.described_dataset.validation:
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


def _pair(first: Run, second: Run, metric: Metric) -> PairImages:
    scores, others = _scores_of(first), _scores_of(second)
    if not np.array_equal(scores.indices, others.indices):
        raise ComparisonError(
            f"The runs of a pair score the same validation images, but those of {first.id} and "
            f"{second.id} differ: choose arms whose pairs share their seeds and their dataset."
        )
    if metric.name == ACCURACY.name:
        return PairImages(scores.indices, scores.right.astype(float) - others.right)
    return PairImages(scores.indices, scores.losses.astype(float) - others.losses)


def _scores_of(run: Run) -> ImageScores:
    return _scores.get(run.path, lambda: _read(run))


def _read(run: Run) -> ImageScores:
    arrays = probabilities(run)
    if "validation" not in arrays:
        raise StoreError(f"Run {run.id} left no probabilities of validation images.")
    shares, labels = arrays["validation"], arrays["validation_labels"].astype(int)
    of_truth = shares[np.arange(len(labels)), labels].astype(np.float32)
    losses = -np.log(np.maximum(of_truth, SMALLEST_PROBABILITY))
    return ImageScores(arrays["validation_indices"], shares.argmax(axis=1) == labels, losses)
