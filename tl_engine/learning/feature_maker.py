"""Features: what the layers below a phase output for a split's images, computed once and cached.

A row depends on the image, the layers' variables and the way in which they are computed, and on
nothing else: not on its place in a batch, nor on its neighbours there. Batches are filled up to a
multiple of 32, because some kernels (ConvNeXt's and ResNet's) sum in another order for odd sizes.
"""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tl_engine.data.splits import Split
from tl_engine.learning.batches import EVALUATION_BATCH, InferenceGraph
from tl_engine.learning.variables import parameters
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Cache, Features
from tl_engine.storage.feature_cache import obtain

MULTIPLE = 32
FORMAT = 1
"""Of the rows: raised when Thaw computes others from the same variables and images."""
COMPUTED_BY = ("system", "processor", "device", "threads", "versions")
NOT_IN_FEATURES = {
    "phases": "what the phase trains is in the key, and what phases before changed is in variables",
    "pretrained": "the variables themselves are hashed",
    "batchnorm": "frozen layers are in inference mode, and their statistics are variables",
    "dataset": "the fingerprint of the images is in the key",
    "train_images": "a row depends on no other image",
    "batch_size": "likewise",
    "augmentation": "features are cached only where it is off",
    "xla": "it compiles training steps, and features are computed in inference mode",
}
"""Settings of a recipe that cannot change a feature, and why. All others can, also those that a
later version adds."""


def uses_features(recipe: Recipe, phase: Phase) -> bool:
    """Whether the phase is trained on cached features: THAW_FEATURES=off trains through the frozen
    layers instead, to the same bits."""
    return os.environ.get("THAW_FEATURES", "on") != "off" and recipe.keeps_features(phase)


def feature_key(recipe: Recipe, phase: Phase, environment: Mapping[str, Any]) -> str:
    """Everything that the features below a phase depend on, but images' places and variables, as
    JSON with sorted keys.

    Args:
        environment: of the run: device, versions and the data's fingerprint.
    """
    settings = {k: v for k, v in recipe.to_dict().items() if k not in NOT_IN_FEATURES}
    key = {
        **settings,
        "format": FORMAT,
        "below": phase.trainable_label,
        "images": environment["fingerprint"],
        "by": {name: environment[name] for name in COMPUTED_BY},
    }
    return json.dumps(key, sort_keys=True)


class FeatureMaker:
    """Computes the features below a phase, or finds them in the cache."""

    def __init__(
        self, below: InferenceGraph, key: str, cache: Cache, on_images: Callable[[int], None]
    ) -> None:
        """Compute features through `below`, whose variables are hashed now; `on_images` is called
        with the number of images of each batch that is computed."""
        self._below, self._cache, self._on_images = below, cache, on_images
        self._digest = hashlib.sha256(key.encode())
        for variable in parameters(below.model):
            self._digest.update(np.asarray(variable).data)

    def of(self, split: Split) -> Features:
        """The features of a split's images."""
        positions = {int(index): place for place, index in enumerate(split.indices)}
        was_traced = self._below.is_traced

        def compute(indices: np.ndarray) -> Iterator[np.ndarray]:
            nonlocal was_traced  # read each time: after a full disk rows are computed again
            was_traced = self._below.is_traced
            places = np.array([positions[int(index)] for index in indices], np.int64)
            for start in range(0, len(places), EVALUATION_BATCH):
                chosen = places[start : start + EVALUATION_BATCH]
                filled = np.resize(chosen, -(-len(chosen) // MULTIPLE) * MULTIPLE)
                yield self._below.predict_batch(split.take(filled))[: len(chosen)]
                self._on_images(len(chosen))

        def tracing() -> float:
            return 0.0 if was_traced else self._below.warm_up

        shape = tuple(self._below.model.outputs[0].shape[1:])
        digest = self._digest.copy()
        digest.update(split.part.encode())
        name = digest.hexdigest()[:32]  # of everything that a row depends on, but the image
        return obtain(self._cache, name, split.indices, shape, compute, tracing)
