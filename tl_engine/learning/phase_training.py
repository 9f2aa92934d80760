"""The phase that a run is in: its graphs, and what they are fed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tl_engine.data.splits import Split
from tl_engine.learning.batches import BatchSource
from tl_engine.learning.feature_maker import FeatureMaker, are_wanted, feature_key
from tl_engine.learning.network import Network
from tl_engine.learning.progress import Progress
from tl_engine.learning.run_clock import RunClock
from tl_engine.learning.run_data import RunData
from tl_engine.recipe import Recipe
from tl_engine.runs import Cache


class Seconds(NamedTuple):
    """What something took, and what it would have taken had nothing been computed before."""

    spent: float = 0.0
    cold: float = 0.0


class PhaseTraining:
    """A phase with its layers set and its optimizer as new.

    Attributes:
        index, phase: in the recipe.
        graphs: of the phase.
        once: seconds that the line of the next epoch counts besides the epoch's own.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        index: int,
        *,
        data: RunData,
        cache: Cache,
        progress: Progress,
        clock: RunClock,
    ) -> None:
        self.index, self.phase = index, recipe.phases[index]
        self._data, self._progress, self._clock = data, progress, clock
        self.graphs = network.enter(recipe, self.phase, features=are_wanted())
        self.once = Seconds()
        self._features: dict[int, BatchSource] = {}
        self._maker: FeatureMaker | None = None
        if self.graphs.below:
            progress.stage("Reading the frozen layers' features", phase=index)
            key = feature_key(recipe, self.phase, data.environment)
            self._maker = FeatureMaker(self.graphs.below, key, cache, self._note_pass)

    def input_of(self, split: Split) -> BatchSource:
        """What the graphs are fed for a split: its features where the phase has some, or pixels."""
        if self._maker is None:
            return split
        if id(split) not in self._features:
            self._features[id(split)] = self._maker.of(split)
        return self._features[id(split)]

    def probabilities(self, split: Split) -> np.ndarray:
        """Class probabilities (n, classes) float32, in inference mode."""
        on_images = None if self._maker else self._note_pass
        return self.graphs.inference.predict(self.input_of(split), on_images)

    def obtain_features(self) -> Seconds:
        """Compute the features of training and validation images, or find them; what that took."""
        below = self.graphs.below
        if not self._maker or not below:
            return Seconds()
        seen, is_counted = self._progress.seen, self._clock.has_counted(below)
        tracing = self._clock.saved_by(below)
        splits = (self._data.splits.train, self._data.splits.validation)
        made = [self._maker.of(split) for split in splits]
        self._features = {id(split): rows for split, rows in zip(splits, made, strict=True)}
        self._progress.skipped += sum(map(len, made)) - (self._progress.seen - seen)
        cold = sum(features.cold_seconds for features in made)
        if not is_counted:
            cold += max(tracing, *(features.tracing for features in made))
        return Seconds(sum(features.seconds for features in made), cold)

    def _note_pass(self, images: int) -> None:
        self._progress.advance(images)
        self._clock.note_pass(images)
