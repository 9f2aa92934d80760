"""Evaluate finished runs on what training does not use: the test split, or corrupted images."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tl_engine.data.corruptions import CORRUPTIONS, SEVERITIES, corrupted, sample_of
from tl_engine.data.splits import Split, Splits
from tl_engine.errors import ThawError
from tl_engine.learning.device import prepare_device
from tl_engine.learning.feature_maker import FeatureMaker, feature_key, uses_features
from tl_engine.learning.network import Network, load_network
from tl_engine.learning.progress import Progress
from tl_engine.learning.results import counted, predicted_classes
from tl_engine.learning.run_data import RunData, load_run_data
from tl_engine.recipe import Recipe
from tl_engine.runs import Cache, Evaluation, Run, StudyEvaluation
from tl_engine.runs.evaluations import write_result

Predict = Callable[[Split], np.ndarray]
"""Class probabilities (n, classes) float32 of a split's images."""
Result = tuple[dict[str, Any], dict[str, np.ndarray]]
"""Numbers for JSON, and arrays."""


def evaluate(
    evaluation: StudyEvaluation,
    runs: list[Run],
    work: Callable[[Recipe], int],
    measure: Callable[[Run, Splits, Predict], Result],
) -> list[str]:
    """Measure each run, and store its result before the next one begins; returns a sentence for
    each run that could not be evaluated.

    Args:
        work: of a run, in forward passes of one image, given its recipe.

    Raises:
        Stopped: where somebody asked for it.
        OSError: where a result cannot be stored.
    """
    device, kind = prepare_device(runs[0].threads), evaluation.kind
    progress = Progress(evaluation, sum(work(run.recipe) for run in runs))
    cache = Cache(evaluation.study.path.parent)
    refused = []
    for number, run in enumerate(runs, start=1):
        progress.stage("Measuring finished runs", run=number, runs=len(runs))
        recipe = run.recipe
        try:
            data = load_run_data(run, device, "it was trained on.")
            network = load_network(run)
            predict: Predict = partial(network.inference.predict, on_images=progress.advance)
            is_shared = recipe.is_pristine and uses_features(recipe, recipe.phases[0])
            if kind is Evaluation.TEST and is_shared:
                predict = _through_features(recipe, data, network, cache, progress)
            numbers, arrays = measure(run, data.splits, predict)
        except (ThawError, ValueError) as error:  # ValueError: weights of another network
            refused.append(f"{run.arm}, pair {run.pair}: {error}")
        else:
            write_result(run, kind, numbers, arrays)
    return refused


def _through_features(
    recipe: Recipe, data: RunData, network: Network, cache: Cache, progress: Progress
) -> Predict:
    below, head = network.halves
    key = feature_key(recipe, recipe.phases[0], data.environment)
    maker = FeatureMaker(below, key, cache, progress.advance)

    def predict(part: Split) -> np.ndarray:
        seen = progress.seen
        features = maker.of(part)
        progress.skipped += len(part) - (progress.seen - seen)
        return head.predict(features)

    return predict


def on_test_split(run: Run, splits: Splits, predict: Predict) -> Result:
    """A finished run's result on the test split."""
    part, classes = splits.test, run.recipe.described_dataset.classes
    probabilities = predict(part)
    stored = probabilities.astype(np.float16)
    arrays = {"probabilities": stored, "labels": part.labels, "indices": part.indices}
    return counted(probabilities, part.labels, classes), arrays


def on_corrupted_images(run: Run, splits: Splits, predict: Predict) -> Result:
    """A finished run's result on corrupted validation images."""
    part = sample_of(splits.validation)
    images, grey = part.images, run.recipe.described_dataset.channels == 1
    whole = np.arange(len(part))

    def correct(pixels: np.ndarray) -> int:
        probabilities = predict(replace(part, published=pixels, indices=whole))
        return int((predicted_classes(probabilities) == part.labels).sum())

    def correct_corrupted(name: str) -> list[int]:
        severities = range(1, SEVERITIES + 1)
        return [correct(corrupted(images, part.indices, name, s, grey=grey)) for s in severities]

    by_corruption = {name: correct_corrupted(name) for name in CORRUPTIONS}
    sample = hashlib.sha256(f"{part.part} {part.indices.tolist()}".encode()).hexdigest()[:16]
    counts = {"clean": correct(images), "corrupted": by_corruption}
    return {"total": len(part), "sample": sample, **counts}, {}
