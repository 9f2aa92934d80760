"""What finished runs predicted of validation images, read once and cached, and the interval of a
verdict over seeds and images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tl_engine.analysis.calibration import Calibration, calibration
from tl_engine.analysis.image_variance import OverImages, PairImages, in_images, over_images
from tl_engine.analysis.interval import Interval
from tl_engine.analysis.predictions import Predictions, joined, predictions
from tl_engine.analysis.rule import AT_END, analyses
from tl_engine.analysis.verdict import Verdict
from tl_engine.errors import ComparisonError, StoreError
from tl_engine.metric import ACCURACY, Metric
from tl_engine.report.arms import Arm, Question, evidence_of_arms
from tl_engine.report.judgement import Judged, pairs_in
from tl_engine.report.section import Section, note
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import probabilities
from tl_engine.storage.memory import FolderCache
from tl_engine.text import plain

SMALLEST_PROBABILITY = 2.0**-24
"""The smallest that is stored above 0: a half-precision number."""
_predictions: FolderCache[Predictions] = FolderCache(maximum=1000)
_losses: FolderCache[np.ndarray] = FolderCache(maximum=400)
_calibrations: FolderCache[Calibration] = FolderCache(maximum=1000)


def predictions_of(run: Run) -> Predictions:
    """What a finished run predicted of its validation images; raises StoreError where it left no
    probabilities, or they are damaged."""
    return _predictions.get(run.path, lambda: predictions(*_validation(run), run.pair))


def pooled(runs: Mapping[int, Run], pairs: Sequence[int]) -> Predictions:
    """What the runs of these pairs predicted, one after another; at least one pair."""
    return joined([predictions_of(runs[pair]) for pair in pairs])


def calibration_of(run: Run) -> Calibration:
    """How well a finished run's probabilities fit; raises as `predictions_of`."""
    return _calibrations.get(run.path, lambda: calibration(*_validation(run)[:2]))


def _validation(run: Run) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (n, classes), labels (n,) and indices (n,) of its validation images."""
    arrays = probabilities(run)
    if "validation" not in arrays:
        raise StoreError(f"Run {run.id} left no probabilities of validation images.")
    return arrays["validation"], arrays["validation_labels"], arrays["validation_indices"]


def pairs_words(pairs: Sequence[int]) -> str:
    """The pairs that are counted: "pair 3", "5 pairs"."""
    return f"pair {pairs[0]}" if len(pairs) == 1 else f"{len(pairs)} pairs"


def seeds_summed(seeds: int) -> list[Section]:
    """The note that predictions of several seeds are summed; nothing for one seed."""
    words = (
        f"Predictions of {seeds} seeds are summed: each image is counted once per seed that "
        "has it, so these are not so many different images."
    )
    return note("seeds", words) if seeds > 1 else []


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


def _pair(first: Run, second: Run, metric: Metric) -> PairImages:
    scores, others = predictions_of(first), predictions_of(second)
    if not np.array_equal(scores.indices, others.indices):
        raise ComparisonError(
            f"The runs of a pair score the same validation images, but those of {first.id} and "
            f"{second.id} differ: choose arms whose pairs share their seeds and their dataset."
        )
    if metric.name == ACCURACY.name:
        return PairImages(scores.indices, scores.right.astype(float) - others.right)
    return PairImages(scores.indices, _losses_of(first).astype(float) - _losses_of(second))


def _losses_of(run: Run) -> np.ndarray:
    """Cross-entropy (n,) of each image, in nats."""

    def read() -> np.ndarray:
        shares, labels, _ = _validation(run)
        of_truth = shares[np.arange(len(labels)), labels.astype(int)].astype(np.float32)
        return -np.log(np.maximum(of_truth, SMALLEST_PROBABILITY))

    return _losses.get(run.path, read)


def about_seeds(run: Run, question: Question) -> str:
    """What the interval over seeds is about, in sentences, given any run of the contrast."""
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
