"""The phase that a run is in: what its graphs are fed, and its pass over the training images."""

import time
from collections.abc import Set
from typing import Any

import keras
import numpy as np

from tl_engine.analysis.measures import first_and_last
from tl_engine.analysis.work import work_per_image
from tl_engine.data.splits import Split
from tl_engine.learning.batches import BatchSource, TracedGraph, epoch_order
from tl_engine.learning.feature_maker import FeatureMaker, feature_key
from tl_engine.learning.network import Network
from tl_engine.learning.phase_diagnosis import Diagnosis
from tl_engine.learning.progress import Progress, TrainingState
from tl_engine.learning.run_data import RunData
from tl_engine.learning.variables import hashes, reseed
from tl_engine.recipe import NextEpoch
from tl_engine.runs import ClaimedRun

COMMIT_SECONDS = 300.0
"""How much of a long epoch a killed process may lose."""


class Ended(Exception):  # noqa: N818 - a message to the worker, not an error
    """This process was asked to end; the run goes on in another."""


class PhaseTraining:
    """A phase with its layers set and its optimizer as new.

    Attributes:
        once: seconds that the line of the next epoch counts besides the epoch's own: spent, and
            what would have been had nothing been computed before.
    """

    def __init__(
        self, run: ClaimedRun, index: int, network: Network, data: RunData, progress: Progress
    ) -> None:
        self.index, self.phase = index, run.recipe.phases[index]
        self._run, self._model, self._data, self._progress = run, network.model, data, progress
        self._graphs = network.enter(run.recipe, self.phase)
        self.optimizer: keras.Optimizer = self._graphs.training.model.optimizer
        self.once = (0.0, 0.0)
        self._inputs: dict[int, BatchSource] = {}
        self._maker: FeatureMaker | None = None
        if below := self._graphs.below:
            progress.stage("Reading the frozen layers' features", phase=index)
            key = feature_key(run.recipe, self.phase, data.environment)
            self._maker = FeatureMaker(below, key, run.cache, progress.advance_by_pass)

    def probabilities(self, split: Split) -> np.ndarray:
        """Class probabilities (n, classes) float32, in inference mode."""
        on_images = None if self._maker else self._progress.advance_by_pass
        return self._graphs.inference.predict(self._input_of(split), on_images)

    def prepare(self, traced: Set[TracedGraph]) -> tuple[float, float]:
        """Obtain the features of training and validation images; what that and tracing costs, as
        `once`.

        Args:
            traced: graphs whose tracing the phases before have counted, whoever trained them.
        """
        warm_ups = {graph: graph.warm_up for graph in self._graphs.traced - traced}
        below, tracing = self._graphs.below, 0.0
        if self._maker is None or below is None:
            return 0.0, sum(warm_ups.values())
        seen = self._progress.seen
        splits = (self._data.splits.train, self._data.splits.validation)
        made = [self._maker.of(split) for split in splits]
        self._inputs = {id(split): rows for split, rows in zip(splits, made, strict=True)}
        self._progress.skipped += sum(map(len, made)) - (self._progress.seen - seen)
        if below in warm_ups:
            tracing = max(warm_ups.pop(below), *(features.tracing for features in made))
        cold = sum(features.cold_seconds for features in made) + tracing
        return sum(f.seconds for f in made), cold + sum(warm_ups.values())

    def new_record(self, setup: float) -> dict[str, Any]:
        """The record of a phase that begins; setting the layers and compiling took so many
        seconds."""
        sizes = self._data.sizes
        return {
            "phase": self.index,
            "trainable": self.phase.trainable_label,
            "images": sizes.train,
            "evaluated": sizes.validation + sizes.sample,
            "setup": setup,
            "evaluation": 0.0,
            "epoch_seconds": [],
            "before": hashes(self._model),
            "steps": {},
        }

    def train_batches(
        self, following: NextEpoch, state: TrainingState, diagnosis: Diagnosis
    ) -> float:
        """The rest of one pass over the training images; its running loss. The state is updated
        after each batch, and committed when the epoch is long.

        Raises:
            Ended: after a commit, where this process has to end.
        """
        training, split = self._graphs.training, self._data.splits.train
        seed, skipped = self._run.seeds.for_epoch(following.epoch), state.step
        batch_size, work = self._run.recipe.batch_size, work_per_image(self._run.recipe, self.phase)
        if not skipped:
            reseed(self._model, seed)
        training.model.reset_metrics()
        training.running_loss = state.loss

        def on_batches(done: int) -> None:
            fresh, state.step = skipped + done - state.step, skipped + done
            if following.number == state.step == fresh == 1:
                state.current |= diagnosis.of_first_step(training.model, self.phase)
            self._commit_inside(state)
            self._progress.advance(work * fresh * batch_size)

        training.train(
            self._input_of(split),
            split.labels,
            epoch_order(len(split), seed),
            batch_size,
            on_batches,
            skipped,
            self._graphs.batches_per_call,
        )
        self._record_losses(state)
        state.loss = training.running_loss
        return state.loss[0] / state.loss[1]

    def _input_of(self, split: Split) -> BatchSource:
        """What the graphs are fed for a split: its features where the phase has some, or pixels."""
        if id(split) not in self._inputs:
            self._inputs[id(split)] = self._maker.of(split) if self._maker else split
        return self._inputs[id(split)]

    def _commit_inside(self, state: TrainingState) -> None:
        """Commit where the epoch is long, or where this process has to end; then raise Ended."""
        is_late = time.perf_counter() - state.committed > COMMIT_SECONDS
        if is_late or self._run.is_ending:
            state.loss = self._graphs.training.running_loss
            self._record_losses(state)
            if np.isfinite(state.loss).all():  # else the epoch's end raises
                state.commit(self.optimizer)
        if self._run.is_ending:
            raise Ended

    def _record_losses(self, state: TrainingState) -> None:
        """Add the losses of the steps since the last call to the phase's record."""
        fresh = self._graphs.training.take_losses()
        size, images = self._run.recipe.batch_size, self._data.sizes.train
        if images > size and state.step * size - images > size / 2:
            fresh = fresh[:-1]  # an epoch's last batch, so small that its loss is noise
        if "steps" in state.current:
            state.current["steps"] = first_and_last(state.current["steps"], fresh)
