"""The phase that a run is in: its graphs, and what they are fed."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

import keras
import numpy as np

from tl_engine.data.splits import Split
from tl_engine.learning.batches import BatchSource, TracedGraph
from tl_engine.learning.feature_maker import FeatureMaker, are_wanted, feature_key
from tl_engine.learning.network import Network
from tl_engine.learning.progress import Progress
from tl_engine.learning.run_data import RunData
from tl_engine.runs import ClaimedRun


class Seconds(NamedTuple):
    """What something took, and what it would have taken had nothing been computed before."""

    spent: float = 0.0
    cold: float = 0.0


class PhaseTraining:
    """A phase with its layers set and its optimizer as new.

    Attributes:
        index, phase: in the recipe.
        graphs: of the phase.
        once: what the line of the next epoch counts besides the epoch's own seconds.
    """

    def __init__(
        self, run: ClaimedRun, index: int, network: Network, data: RunData, progress: Progress
    ) -> None:
        self.index, self.phase = index, run.recipe.phases[index]
        self._data, self._progress = data, progress
        self.graphs = network.enter(run.recipe, self.phase, features=are_wanted())
        self.once = Seconds()
        self._inputs: dict[int, BatchSource] = {}
        self._maker: FeatureMaker | None = None
        if below := self.graphs.below:
            progress.stage("Reading the frozen layers' features", phase=index)
            key = feature_key(run.recipe, self.phase, data.environment)
            self._maker = FeatureMaker(below, key, run.cache, progress.advance_by_pass)

    @property
    def optimizer(self) -> keras.Optimizer:
        """Of the phase."""
        return self.graphs.training.model.optimizer

    def input_of(self, split: Split) -> BatchSource:
        """What the graphs are fed for a split: its features where the phase has some, or pixels."""
        if id(split) not in self._inputs:
            self._inputs[id(split)] = self._maker.of(split) if self._maker else split
        return self._inputs[id(split)]

    def probabilities(self, split: Split) -> np.ndarray:
        """Class probabilities (n, classes) float32, in inference mode."""
        on_images = None if self._maker else self._progress.advance_by_pass
        return self.graphs.inference.predict(self.input_of(split), on_images)

    def prepare(self, traced: Set[TracedGraph]) -> Seconds:
        """Obtain the features of training and validation images; what that and tracing costs.

        Args:
            traced: graphs whose tracing the phases before have counted, whoever trained them.
        """
        warm_ups = {graph: graph.warm_up for graph in self.graphs.traced - traced}
        below, tracing = self.graphs.below, 0.0
        if self._maker is None or below is None:
            return Seconds(0.0, sum(warm_ups.values()))
        seen = self._progress.seen
        splits = (self._data.splits.train, self._data.splits.validation)
        made = [self._maker.of(split) for split in splits]
        self._inputs = {id(split): rows for split, rows in zip(splits, made, strict=True)}
        self._progress.skipped += sum(map(len, made)) - (self._progress.seen - seen)
        if below in warm_ups:
            tracing = max(warm_ups.pop(below), *(features.tracing for features in made))
        cold = sum(features.cold_seconds for features in made) + tracing
        return Seconds(sum(f.seconds for f in made), cold + sum(warm_ups.values()))
