"""Ask finished runs what training does not ask: the test split, or corrupted images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.data import sources
from tl_engine.data.corruptions import CORRUPTIONS, SEVERITIES, corrupted, sample_of
from tl_engine.data.sources import Images
from tl_engine.data.splits import Split, Splits, split
from tl_engine.errors import DataUnavailable, ThawError
from tl_engine.execution.cost import evaluation_work
from tl_engine.learning.batches import Reader
from tl_engine.learning.device import prepare_device
from tl_engine.learning.downloads import prepare
from tl_engine.learning.feature_maker import FeatureMaker, are_wanted
from tl_engine.learning.prediction_server import Network, load
from tl_engine.learning.progress import Progress
from tl_engine.learning.scoring import counted, decide
from tl_engine.machine import versions
from tl_engine.recipe import Recipe
from tl_engine.runs import Cache, Evaluation, Run, StudyEvaluation
from tl_engine.runs.evaluation_results import write_result

Ask = Callable[[Split], np.ndarray]
"""Class probabilities (n, classes) float32 of a split's images."""
Answer = tuple[dict[str, Any], dict[str, np.ndarray]]


def evaluate(evaluation: StudyEvaluation, runs: list[Run]) -> list[str]:
    """Ask each run, and keep its answer before the next one is asked; the network is built once
    for all that share it.

    Returns:
        A sentence for each run that could not be asked.

    Raises:
        Stopped: where somebody asked for it.
        OSError: where an answer cannot be kept.
    """
    device = prepare_device(runs[0].threads)
    progress = Progress(
        evaluation, sum(evaluation_work(run.recipe, evaluation.kind) for run in runs)
    )
    cache = Cache(evaluation.study.path.parent)
    network: Network | None = None
    refused = []
    for number, run in enumerate(runs, start=1):
        progress.stage("Measuring finished runs", run=number, runs=len(runs))
        try:
            images = _images(run)
            splits = split(images, run.recipe.train_images, run.seeds.data)
            network = load(run, network)
            ask: Ask = partial(network.reader.read, beat=progress.beat)
            if evaluation.kind is Evaluation.TEST and _keeps_all(run.recipe):
                known = {**device, "versions": versions(), "fingerprint": images.fingerprint}
                maker = FeatureMaker(
                    network.halves[0], run.recipe, run.recipe.phases[0], cache, known, progress.beat
                )
                ask = partial(_ask_features, maker, network.halves[1], progress)
            value, arrays = QUESTIONS[evaluation.kind](run, splits, ask)
        except (ThawError, ValueError) as error:  # ValueError: weights of another network
            refused.append(f"{run.arm}, pair {run.pair}: {error}")
        else:
            write_result(run, evaluation.kind, value, arrays)
    return refused


def _keeps_all(recipe: Recipe) -> bool:
    """Whether what the head is fed is the same for all runs on the backbone, and kept."""
    return recipe.is_pristine and are_wanted() and all(map(recipe.keeps_features, recipe.phases))


def _ask_features(maker: FeatureMaker, head: Reader, progress: Progress, part: Split) -> np.ndarray:
    seen = progress.seen
    rows = maker.of(part)
    progress.skipped += len(part) - (progress.seen - seen)
    return head.read(rows)


def _images(run: Run) -> Images:
    """
    Raises:
        DataUnavailable: where the images are not those that the run was trained on.
    """
    prepare(run.recipe.dataset)
    images = sources.load(run.recipe.dataset)
    if {met["fingerprint"] for met in run.environments} - {images.fingerprint}:
        title = dataset(run.recipe.dataset).title
        raise DataUnavailable(f"The images of {title} are not those that it was trained on.")
    return images


def _test(run: Run, splits: Splits, ask: Ask) -> Answer:
    part = splits.test
    probabilities = ask(part)
    arrays = {
        "probabilities": probabilities.astype(np.float16),
        "labels": part.labels,
        "indices": part.indices,
    }
    return counted(probabilities, part.labels, dataset(run.recipe.dataset).classes), arrays


def _robustness(run: Run, splits: Splits, ask: Ask) -> Answer:
    part = sample_of(splits.validation)
    images, grey = part.images, dataset(run.recipe.dataset).channels == 1
    whole = np.arange(len(part))

    def correct(pixels: np.ndarray) -> int:
        said = ask(replace(part, published=pixels, indices=whole))
        return int((decide(said) == part.labels).sum())

    correct_counts = {
        name: [
            correct(corrupted(images, part.indices, name, severity, grey=grey))
            for severity in range(1, SEVERITIES + 1)
        ]
        for name in CORRUPTIONS
    }
    sample = hashlib.sha256(f"{part.part} {part.indices.tolist()}".encode()).hexdigest()[:16]
    counts = {"clean": correct(images), "corrupted": correct_counts}
    return {"total": len(part), "sample": sample, **counts}, {}


QUESTIONS: dict[Evaluation, Callable[[Run, Splits, Ask], Answer]] = {
    Evaluation.TEST: _test,
    Evaluation.ROBUSTNESS: _robustness,
}
