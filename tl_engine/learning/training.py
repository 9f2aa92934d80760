"""Train a run: its phases in order, a history line and a commit per epoch."""

import contextlib
import time
from functools import partial
from typing import Any

import numpy as np

from tl_engine.analysis.work import features_work, measurements_of, phase_work, total_work
from tl_engine.errors import StoreError
from tl_engine.learning.device import prepare_device
from tl_engine.learning.network import network_of
from tl_engine.learning.phase_diagnosis import Diagnosis
from tl_engine.learning.phase_training import PhaseTraining
from tl_engine.learning.progress import Progress, TrainingState
from tl_engine.learning.results import counted, score
from tl_engine.learning.run_data import RunData, load_run_data
from tl_engine.learning.variables import Weights, assign, audit
from tl_engine.recipe import NextEpoch
from tl_engine.runs import Checkpoint, ClaimedRun, epoch_line
from tl_engine.runs.checkpoint import model_in
from tl_engine.runs.phase_ends import PhaseEnd, find, name_of


def train(run: ClaimedRun) -> None:
    """Train a run to its end, in this process. The test split is not used: it stays locked until
    somebody opens it.

    Raises:
        Stopped: if somebody asked for it; what is committed stays.
        FloatingPointError: if the loss is no number any more.
        ThawError: for data or weights that are not to be had.
    """
    recipe, progress = run.recipe, Progress(run)
    device = prepare_device(run.threads)
    progress.stage(f"Loading {recipe.described_dataset.title}")
    mismatch = "this run began with: put the former ones back and resume, or launch it anew."
    data = load_run_data(run, device, mismatch)
    run.record_environment(data.environment)
    trainer = Trainer(run, data, progress)
    probabilities, phases = trainer.train(), trainer.state.phases
    part = data.splits.validation
    scores = counted(probabilities, part.labels, recipe.described_dataset.classes)
    arrays = {
        "validation": probabilities.astype(np.float16),
        "validation_labels": part.labels,
        "validation_indices": part.indices,
    }
    run.record_results({"splits": {"validation": scores}, "phases": phases}, arrays)
    progress.stage("Saving the model")
    run.save_model(trainer.network.save)
    for measurement in measurements_of(
        recipe, phases, forward=progress.forward_seconds, startup=progress.startup
    ):
        run.add_measurement(measurement)


class Trainer:
    """Trains a run from its last committed state on: state and network are its latest ones."""

    def __init__(self, run: ClaimedRun, data: RunData, progress: Progress) -> None:
        """Build the network, and restore the last committed state, or that of another run which
        began with the same phases."""
        self._run, self._recipe = run, run.recipe
        self._data, self._progress = data, progress
        progress.total = total_work(run.recipe, data.sizes)
        progress.stage(f"Building {run.recipe.backbone}")
        checkpoint = _last_checkpoint(run, data.environment)
        self.network = network_of(run.recipe, run.seeds, weights=checkpoint is None)
        if checkpoint:
            assign(self.network.model.variables, checkpoint.model)
        self._optimizer_arrays = checkpoint.optimizer if checkpoint else {}
        self.state = TrainingState(run, self.network.model, checkpoint)
        self._diagnosis = Diagnosis(run, self.network, data, progress)

    def train(self) -> np.ndarray:
        """Train every epoch that is left; the validation split's class probabilities (n, classes)
        after the last one."""
        self._progress.start(skipped=self._work_done())
        phase: PhaseTraining | None = None
        probabilities: np.ndarray | None = None
        while following := self._recipe.next_epoch(self.state.history):
            if phase is None or phase.index != following.phase:
                phase = self._enter(following)
            probabilities = self._train_epoch(phase, following)
        if probabilities is None:  # every epoch was committed before this process began
            self._progress.stage("Measuring the validation split")
            last = self._phase(len(self._recipe.phases) - 1)
            probabilities = last.probabilities(self._data.splits.validation)
        return probabilities

    def _work_done(self) -> float:
        """Work of the epochs and features before this process, as far as it is recorded."""
        phases, sizes = self._recipe.phases, self._data.sizes
        trained = [phases[line["phase"]] for line in self.state.history]
        ended = [phases[record["phase"]] for record in self.state.phases]
        epochs = sum(phase_work(self._recipe, phase, sizes) / phase.epochs for phase in trained)
        return epochs + sum(features_work(self._recipe, phase, sizes) for phase in ended)

    def _phase(self, index: int) -> PhaseTraining:
        return PhaseTraining(self._run, index, self.network, self._data, self._progress)

    def _enter(self, following: NextEpoch) -> PhaseTraining:
        """Set the phase; within one that began before, restore its optimizer's state."""
        began = time.perf_counter()
        phase = self._phase(following.phase)
        setup = time.perf_counter() - began
        before = self._recipe.phases[: phase.index]
        once = phase.prepare(self.network.graphs_of(self._recipe, before))
        is_resumed = following.number > 1 or self.state.step > 0
        if is_resumed:
            assign(phase.optimizer.variables, self._optimizer_arrays)
            self._diagnosis.begin(partial(self._weights_before, phase.index))
        else:
            phase.once = once
            self._diagnosis.begin()
        self.state.enter_phase(is_resumed=is_resumed)
        if self.state.current.get("phase") != phase.index:
            self.state.current = phase.new_record(setup)
        return phase

    def _weights_before(self, phase: int) -> Weights | None:
        """The weights with which a phase began that this process did not see begin; None where no
        cache has them."""
        with contextlib.suppress(StoreError):  # dropped a moment ago
            if phase and (end := _phase_end(self._run, phase, self._data.environment)):
                return model_in(end.folder, end.files)
        return None

    def _train_epoch(self, phase: PhaseTraining, following: NextEpoch) -> np.ndarray:
        """One epoch: train, measure, append a line, commit. Returns validation probabilities."""
        began = time.perf_counter()
        epochs = self._recipe.total_epochs
        self._progress.stage("Training", phase=phase.index, epoch=following.epoch, epochs=epochs)
        rate = phase.optimizer.learning_rate = phase.phase.learning_rate_at(following.number)
        is_whole = self.state.step == 0
        running_loss = phase.train_batches(following, self.state, self._diagnosis)
        trained = time.perf_counter()
        sample, validation = self._data.sample, self._data.splits.validation
        sample_scores = score(phase.probabilities(sample), sample.labels)
        probabilities = phase.probabilities(validation)
        measured = time.perf_counter()
        scores = score(probabilities, validation.labels)
        values = {
            "learning_rate": rate,
            "seconds": measured - began + phase.once[0],
            "cold_seconds": measured - began + phase.once[1],
            "images": self._data.sizes.train,
            "running_loss": running_loss,
            **sample_scores,
            **{f"val_{name}": value for name, value in scores.items()},
        }
        line = epoch_line(following.epoch, phase.index, phase.phase, values)
        _refuse_broken(line)
        self._run.append_epoch(line)
        if is_whole:  # half an epoch's time would be taken for a fast one
            self.state.current["epoch_seconds"].append(trained - began)
        self.state.current["evaluation"] += measured - trained
        self._end_epoch(phase, following, line)
        return probabilities

    def _end_epoch(self, phase: PhaseTraining, ended: NextEpoch, line: dict[str, Any]) -> None:
        """Commit the epoch, with the record of its phase where that is over."""
        state = self.state
        state.history.append(line)
        state.step, state.loss, phase.once = 0, [0.0, 0.0], (0.0, 0.0)
        following = self._recipe.next_epoch(state.history)
        is_over = following is None or following.phase != phase.index
        if is_over:
            self._leave(phase, ended.number)
        state.commit(phase.optimizer)
        if is_over:
            name = name_of(self._recipe, phase.index + 1, self._run.seeds, self._run.threads)
            self._run.cache_phase_end(name, state.phases, self._data.environment)

    def _leave(self, phase: PhaseTraining, epochs: int) -> None:
        """Close the record of the phase: what it took, and what it changed."""
        state, before = self.state, self.state.current.pop("before", {})
        record = {**state.current, "epochs": epochs, "audit": audit(self.network.model, before)}
        self._progress.stage("Looking inside", phase=phase.index)
        record |= self._diagnosis.of_end(state.phases)
        work = phase_work(self._recipe, phase.phase, self._data.sizes)
        self._progress.skipped += (1 - epochs / phase.phase.epochs) * work
        state.phases.append(record)
        state.current = {}


def _last_checkpoint(run: ClaimedRun, environment: dict[str, Any]) -> Checkpoint | None:
    """The state that the run goes on from: its own, or the furthest end of a phase in another run
    that it would come to; its history is cut to it."""
    checkpoint = run.checkpoint()
    if checkpoint is None:
        run.rewind_history(0)
        counts = range(len(run.recipe.phases), 0, -1)
        ends = (_phase_end(run, count, environment) for count in counts)
        if end := next(filter(None, ends), None):
            run.adopt(end)
            checkpoint = run.checkpoint()
    if checkpoint:
        run.rewind_history(checkpoint.epoch)
    return checkpoint


def _phase_end(run: ClaimedRun, phases: int, environment: dict[str, Any]) -> PhaseEnd | None:
    """The state after the run's first `phases` phases, where another run left it."""
    name = name_of(run.recipe, phases, run.seeds, run.threads)
    return find(run.cache, name, environment)


def _refuse_broken(line: dict[str, Any]) -> None:
    """Raise FloatingPointError where a loss is no number any more."""
    for name in ("running_loss", "loss", "val_loss"):
        if not np.isfinite(line[name]):
            raise FloatingPointError(
                f"The loss became {line[name]} in epoch {line['epoch']}: try a smaller "
                f"learning rate than {line['learning_rate']:g}."
            )
