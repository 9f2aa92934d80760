"""What the layers below a phase say about a split's images: computed once, found ever after.

A row depends on the image, the layers' variables and the way in which they are computed, and on
nothing else: not on its place in a batch, nor on its neighbours there. Batches are filled up to a
multiple of 32, because some kernels (ConvNeXt's and ResNet's) sum in another order for odd sizes.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from tl_engine.data.splits import Split
from tl_engine.learning.batches import EVALUATION_BATCH, Reader
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Cache, Features
from tl_engine.storage.feature_cache import obtain

MULTIPLE = 32
FORMAT = 1
"""Of the rows: raised when Thaw computes others from the same variables and images."""
COMPUTED_BY = ("system", "processor", "device", "threads", "versions")


def are_wanted() -> bool:
    """Whether features are kept at all: THAW_FEATURES=off trains through frozen layers instead,
    to the same bits."""
    return os.environ.get("THAW_FEATURES", "on") != "off"


class FeatureMaker:
    """Makes, or finds, what the layers below a phase say, as they are now."""

    def __init__(
        self,
        below: Reader,
        recipe: Recipe,
        phase: Phase,
        cache: Cache,
        environment: Mapping[str, Any],
        beat: Callable[[int], None],
    ) -> None:
        """
        Args:
            below: from pixels to features.
            environment: of the run: device, versions and the data's fingerprint.
            beat: told how many images are done, after every batch.
        """
        self._below, self._cache, self._beat = below, cache, beat
        told = {
            "format": FORMAT,
            "backbone": recipe.backbone,
            "image_size": recipe.image_size,
            "head_input": recipe.head_input,
            "precision": recipe.precision,
            "below": phase.trainable_label,
            "images": environment["fingerprint"],
            "by": {name: environment[name] for name in COMPUTED_BY},
        }
        self._digest = hashlib.sha256(json.dumps(told, sort_keys=True).encode())
        for variable in below.model.variables:
            if not variable.path.endswith("seed_generator_state"):
                self._digest.update(np.asarray(variable).data)

    def of(self, split: Split) -> Features:
        """The features of a split's images."""
        positions = {int(index): place for place, index in enumerate(split.indices)}

        was_traced = self._below.is_traced

        def compute(indices: np.ndarray) -> Iterator[np.ndarray]:
            nonlocal was_traced  # asked each time: after a full disk rows are computed again
            was_traced = self._below.is_traced
            places = np.array([positions[int(index)] for index in indices], np.int64)
            for start in range(0, len(places), EVALUATION_BATCH):
                chosen = places[start : start + EVALUATION_BATCH]
                filled = np.resize(chosen, -(-len(chosen) // MULTIPLE) * MULTIPLE)
                yield self._below.ask(split.take(filled))[: len(chosen)]
                self._beat(len(chosen))

        def tracing() -> float:
            return 0.0 if was_traced else self._below.warm_up

        shape = tuple(self._below.model.outputs[0].shape[1:])
        name = self._name(split.part)
        return obtain(self._cache, name, split.indices, shape, compute, tracing)

    def _name(self, part: str) -> str:
        """32 hex digits that tell all that a row depends on, but the image."""
        digest = self._digest.copy()
        digest.update(part.encode())
        return digest.hexdigest()[:32]
