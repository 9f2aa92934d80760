"""Train a run: its phases in order, a history line and a commit per epoch."""

from __future__ import annotations

import contextlib
import time
from functools import partial
from typing import Any

import numpy as np

from tl_engine.analysis.steps import first_and_last
from tl_engine.catalog.datasets import dataset
from tl_engine.data import sources
from tl_engine.data.splits import Split, split
from tl_engine.errors import DataUnavailable, StoreError
from tl_engine.execution.cost import (
    TRAIN_SAMPLE,
    Sizes,
    features_work,
    measurements_of,
    phase_work,
    total_work,
    work_per_image,
)
from tl_engine.learning import feature_maker
from tl_engine.learning import model as networks
from tl_engine.learning.audit import audit, hashes
from tl_engine.learning.batches import Graph, Source, epoch_order
from tl_engine.learning.device import prepare_device
from tl_engine.learning.diagnosis import Diagnosis
from tl_engine.learning.downloads import prepare
from tl_engine.learning.feature_maker import FeatureMaker
from tl_engine.learning.network import network_of
from tl_engine.learning.progress import Progress
from tl_engine.learning.results import finish
from tl_engine.learning.scoring import score
from tl_engine.runs import Checkpoint, ClaimedRun, Run, epoch_line
from tl_engine.runs.phase_ends import PhaseEnd, find, name_of, variables_of
from tl_engine.schedule import Next, learning_rate, next_epoch
from tl_engine.storage.record_files import versions

COMMIT_SECONDS = 300.0
"""How much of a long epoch a killed process may lose."""


class Ended(Exception):  # noqa: N818 - a message to the worker, not an error
    """This process was asked to end; the run goes on in another."""


class Trainer:
    """What a run needs while it trains.

    Attributes:
        network: the recipe's, with what was traced for it.
        stage: what the current phase trains, and what is constant below it.
        inputs: what the stage is fed from, for each split that it has met.
        history: the run's lines so far.
        step: batches of the next epoch that are done already.
        phases: what is known of the phases that are over: timings and audit.
        current: the same of the phase that is not, with its variables' hashes before it.
    """

    def __init__(self, run: ClaimedRun, device: dict[str, Any]) -> None:
        self.began = time.perf_counter()
        self.run, self.recipe, self.seeds = run, run.recipe, run.seeds
        self.history: list[dict[str, Any]] = []
        self.step, self.loss = 0, [0.0, 0.0]
        self.phases: list[dict[str, Any]] = []
        self.current: dict[str, Any] = {}
        self.progress = Progress(run, 1.0)
        self.progress.stage(f"Loading {dataset(self.recipe.dataset).title}")
        prepare(self.recipe.dataset)
        images = sources.load(self.recipe.dataset)
        self.environment = {**device, "versions": versions(), "fingerprint": images.fingerprint}
        self.splits = split(images, self.recipe.train_images, self.seeds.data)
        self.sample = _sample(self.splits.train)
        parts = (self.splits.train, self.sample, self.splits.validation)
        train, sample, validation = map(len, parts)
        self.sizes = Sizes(train, sample, validation, dataset(self.recipe.dataset).test)
        self.progress.total = total_work(self.recipe, self.sizes)
        self.forward: list[tuple[int, float]] = []
        self.met: set[Graph] = set()

    def build(self) -> None:
        """Make the network, and put the last committed state back, or that of another run which
        began with the same phases."""
        self.progress.stage(f"Building {self.recipe.backbone}")
        checkpoint = self.run.checkpoint()
        if checkpoint is None:
            self.run.rewind_history(0)
            if end := self._shared_end():
                self.run.adopt(end)
                checkpoint = self.run.checkpoint()
        self.network = network_of(self.recipe, self.seeds, weights=checkpoint is None)
        self.is_partial = False
        if checkpoint:
            self.run.rewind_history(checkpoint.epoch)
            self._put_back(checkpoint)
        known = (self.splits.validation, self.environment["fingerprint"], self.progress.total)
        self.diagnosis = Diagnosis(
            self.recipe, self.seeds, self.network, *known, lambda images: self.progress.beat()
        )
        self.committed = time.perf_counter()

    def _shared_end(self) -> PhaseEnd | None:
        """The furthest state that another run left and this one would come to."""
        for count in range(len(self.recipe.phases), 0, -1):
            name = name_of(self.recipe, count, self.seeds, self.run.threads)
            if end := find(self.run.cache, name, self.environment):
                return end
        return None

    def _began_with(self, phase: int) -> dict[str, np.ndarray] | None:
        """The weights with which a phase began that this process did not see begin, where another
        phase left them and they are kept."""
        if phase == 0:
            return None
        name = name_of(self.recipe, phase, self.seeds, self.run.threads)
        with contextlib.suppress(StoreError):  # dropped a moment ago
            if end := find(self.run.cache, name, self.environment):
                return variables_of(end)
        return None

    def _put_back(self, checkpoint: Checkpoint) -> None:
        networks.assign(self.network.model.variables, checkpoint.model)
        self._optimizer_arrays = checkpoint.optimizer
        self.history = self.run.epochs()
        self.step, notes = checkpoint.step, checkpoint.notes
        self.loss = notes.get("loss", self.loss)
        self.phases, self.current = notes.get("phases", []), notes.get("current", {})
        self.is_partial = checkpoint.partial

    def train(self) -> None:
        """Every epoch from the last committed state on."""
        self.build()
        self.progress.started = time.perf_counter()
        self.startup = self.progress.started - self.began
        for line in self.history:
            phase = self.recipe.phases[line["phase"]]
            self.progress.skipped += phase_work(self.recipe, phase, self.sizes) / phase.epochs
        for record in self.phases:
            phase = self.recipe.phases[record["phase"]]
            self.progress.skipped += features_work(self.recipe, phase, self.sizes)
        inside = -1
        while following := next_epoch(self.recipe, self.history):
            if following.phase != inside:
                inside = following.phase
                self._enter_phase(following)
            self._train_epoch(following)

    def _enter_phase(self, following: Next) -> None:
        """Set the phase; within one that began before, put its optimizer's state back."""
        began = time.perf_counter()
        self.set_stage(following.phase)
        setup = time.perf_counter() - began
        # Phases before it count what they traced, also those that another run has trained.
        before = self.recipe.phases[: following.phase]
        wanted = feature_maker.are_wanted()
        self.met |= self.network.graphs_of(self.recipe, before, features=wanted)
        warm_up = self._meet(self.stage.learner) + self._meet(self.stage.reader)
        spent, cold = self._obtain_features()
        inside = following.number > 1 or self.step > 0
        self.once = (0.0, 0.0) if inside else (spent, cold + warm_up)
        if inside:
            networks.assign(self.stage.learner.model.optimizer.variables, self._optimizer_arrays)
        self.diagnosis.begin(partial(self._began_with, following.phase) if inside else None)
        # Once all variables are committed, those that the phase leaves alone need not be again.
        free = networks.may_change(self.network.model, with_seeds=True)
        self.changing = free if len(free) < len(self.network.model.variables) else None
        self.is_based = bool(self.history) and (inside or not self.is_partial)
        if self.current.get("phase") != following.phase:
            self.current = {
                "phase": following.phase,
                "trainable": self.recipe.phases[following.phase].trainable_label,
                "images": len(self.splits.train.labels),
                "evaluated": len(self.splits.validation.labels) + len(self.sample.labels),
                "setup": setup,
                "evaluation": 0.0,
                "epoch_seconds": [],
                "before": hashes(self.network.model),
                "steps": {},
            }

    def set_stage(self, index: int) -> None:
        phase = self.recipe.phases[index]
        self.stage = self.network.enter(self.recipe, phase, features=feature_maker.are_wanted())
        self.inputs: dict[int, Source] = {}
        self._maker = None
        if self.stage.below:
            self.progress.stage("Reading the frozen layers' features", phase=index)
            known = (self.run.cache, self.environment, self._pass)
            self._maker = FeatureMaker(self.stage.below, self.recipe, phase, *known)

    def _pass(self, images: int) -> None:
        """Images passed the network, or its frozen part."""
        now = time.perf_counter()
        self.progress.beat(images)
        self.forward.append((images, now))

    def input_of(self, part: Split) -> Source:
        """What the current stage is fed from: the pixels, or what is constant below of them."""
        if id(part) not in self.inputs:
            self.inputs[id(part)] = self._maker.of(part) if self._maker else part
        return self.inputs[id(part)]

    def _meet(self, graph: Graph) -> float:
        """Seconds that a graph would have taken to trace, had not another run met it before."""
        saved = graph.warm_up if graph not in self.met else 0.0
        self.met.add(graph)
        return saved

    def _obtain_features(self) -> tuple[float, float]:
        """Compute what is constant below the phase, or find it; the seconds that it took, and
        that it would have taken with nothing there."""
        if not self._maker or not self.stage.below:
            return 0.0, 0.0
        seen, is_met = self.progress.seen, self.stage.below in self.met
        tracing = self._meet(self.stage.below)
        made = [self._maker.of(self.splits.train), self._maker.of(self.splits.validation)]
        self.inputs = {id(self.splits.train): made[0], id(self.splits.validation): made[1]}
        self.progress.skipped += sum(map(len, made)) - (self.progress.seen - seen)
        cold = sum(some.cold_seconds for some in made)
        if not is_met:
            cold += max(tracing, *(some.tracing for some in made))
        return sum(some.seconds for some in made), cold

    def _train_epoch(self, following: Next) -> None:
        """One epoch: train, measure, write the line, commit."""
        epoch, index = following.epoch, following.phase
        phase = self.recipe.phases[index]
        began = time.perf_counter()
        self.progress.stage("Training", phase=index, epoch=epoch, epochs=self.recipe.total_epochs)
        rate = learning_rate(phase, following.number)
        self.stage.learner.model.optimizer.learning_rate = rate
        whole = self.step == 0
        running_loss = self._learn(following)
        trained = time.perf_counter()
        train = self.evaluate(self.sample)
        self.validation = self.evaluate(self.splits.validation)
        measured = time.perf_counter()
        line = epoch_line(
            epoch,
            index,
            phase,
            {
                "learning_rate": rate,
                "seconds": measured - began + self.once[0],
                "cold_seconds": measured - began + self.once[1],
                "images": len(self.splits.train.labels),
                "running_loss": running_loss,
                **score(train, self.sample.labels),
                **{
                    f"val_{name}": value
                    for name, value in score(self.validation, self.splits.validation.labels).items()
                },
            },
        )
        self._refuse_broken(line)
        self.run.append_epoch(line)
        self.history.append(line)
        if whole:  # half an epoch's time would be taken for a fast one
            self.current["epoch_seconds"].append(trained - began)
        self.current["evaluation"] += measured - trained
        following_one = next_epoch(self.recipe, self.history)
        leaves = following_one is None or following_one.phase != index
        if leaves:
            self._leave_phase(following.number)
        self.step, self.loss, self.once = 0, [0.0, 0.0], (0.0, 0.0)
        self._commit(epoch)
        if leaves:
            name = name_of(self.recipe, index + 1, self.seeds, self.run.threads)
            self.run.keep_phase_end(name, self.phases, self.environment)

    def _leave_phase(self, epochs: int) -> None:
        """Close the record of the phase: what it took, and what it changed."""
        before = self.current.pop("before", {})
        record = {**self.current, "epochs": epochs, "audit": audit(self.network.model, before)}
        self.progress.stage("Looking inside", phase=record["phase"])
        record |= self.diagnosis.of_end(self.phases)
        phase = self.recipe.phases[record["phase"]]
        left_out = 1 - epochs / phase.epochs
        self.progress.skipped += left_out * phase_work(self.recipe, phase, self.sizes)
        self.phases.append(record)
        self.current = {}

    def _learn(self, following: Next) -> float:
        """The rest of one pass over the training images; the mean loss while it was falling."""
        seed = self.seeds.for_epoch(following.epoch)
        size, skipped = self.recipe.batch_size, self.step
        learner, labels = self.stage.learner, self.splits.train.labels
        if not skipped:
            networks.reseed(self.network.model, seed)
        order = epoch_order(len(labels), seed)
        per_image = work_per_image(self.recipe, self.recipe.phases[following.phase])
        learner.model.reset_metrics()
        learner.running_loss = self.loss

        def beat(done: int) -> None:
            fresh = skipped + done - self.step
            self.step = skipped + done
            if following.number == self.step == fresh == 1:
                phase = self.recipe.phases[following.phase]
                self.current |= self.diagnosis.of_first_step(learner.model, phase)
            self._commit_inside(following.epoch - 1)
            self.progress.beat(per_image * fresh * size)

        source = self.input_of(self.splits.train)
        learner.train(source, labels, order, size, beat, skipped, self.stage.at_once)
        self._keep_steps()
        self.loss = learner.running_loss
        return self.loss[0] / self.loss[1]

    def _commit_inside(self, epoch: int) -> None:
        """Within an epoch: commit when it is long, or when this process has to end.

        Raises:
            Ended: after a commit, where it has to.
        """
        late = time.perf_counter() - self.committed > COMMIT_SECONDS
        if late or self.run.is_ending:
            self.loss = self.stage.learner.running_loss
            self._keep_steps()
            if np.isfinite(self.loss).all():  # else the epoch's end says what became of it
                self._commit(epoch)
        if self.run.is_ending:
            raise Ended

    def _keep_steps(self) -> None:
        """Remember the losses of the phase's first and last steps, where all of them were kept."""
        fresh = self.stage.learner.take_losses()
        size, images = self.recipe.batch_size, len(self.splits.train.labels)
        if images > size and self.step * size - images > size / 2:
            fresh = fresh[:-1]  # an epoch's last batch, so small that its loss is noise
        if "steps" in self.current:
            self.current["steps"] = first_and_last(self.current["steps"], fresh)

    def _commit(self, epoch: int) -> None:
        notes = {"loss": self.loss, "phases": self.phases, "current": self.current}
        partial = self.changing is not None and self.is_based
        chosen = self.changing if partial else None
        model = networks.arrays_of(self.network.model.variables, chosen)
        optimizer = networks.arrays_of(self.stage.learner.model.optimizer.variables)
        self.run.commit(Checkpoint(epoch, self.step, model, optimizer, notes, partial))
        self.is_based, self.is_partial = True, partial
        self.committed = time.perf_counter()

    def _refuse_broken(self, line: dict[str, Any]) -> None:
        """
        Raises:
            FloatingPointError: where a loss is no number any more.
        """
        for name in ("running_loss", "loss", "val_loss"):
            if not np.isfinite(line[name]):
                raise FloatingPointError(
                    f"The loss became {line[name]} in epoch {line['epoch']}: try a smaller "
                    f"learning rate than {line['learning_rate']:g}."
                )

    def evaluate(self, part: Split) -> np.ndarray:
        """Class probabilities (n, classes) float32, in inference mode."""
        if self._maker:
            return self.stage.reader.read(self.input_of(part))
        return self.stage.reader.read(part, self._pass)

    @property
    def forward_seconds(self) -> float | None:
        """Seconds in which an image passes the network; None where none did."""
        pairs = zip(self.forward, self.forward[1:], strict=False)
        rates = sorted((now - before) / count for (_, before), (count, now) in pairs)
        return rates[len(rates) // 2] if rates else None


def train(run: ClaimedRun) -> None:
    """Train a run to its end, in this process.

    Raises:
        Stopped: if somebody asked for it; what is committed stays.
        FloatingPointError: if the loss is no number any more.
        ThawError: for data or weights that are not to be had.
    """
    trainer = Trainer(run, prepare_device(run.threads))
    _refuse_other_images(run, trainer.environment["fingerprint"])
    run.record_environment(trainer.environment)
    trainer.train()
    finish(run, trainer)
    known = (trainer.phases, trainer.forward_seconds, trainer.startup)
    for measurement in measurements_of(run.recipe, *known):
        run.add_measurement(measurement)


def _refuse_other_images(run: Run, fingerprint: str) -> None:
    """
    Raises:
        DataUnavailable: where the run began with other images than there are now.
    """
    begun = {met["fingerprint"] for met in run.environments} if run.epochs() else set()
    if begun - {fingerprint}:
        raise DataUnavailable(
            f"The images of {dataset(run.recipe.dataset).title} are not those that this run "
            "began with: put the former ones back and resume, or launch it anew."
        )


def _sample(part: Split) -> Split:
    """The fixed training images on which accuracy is measured after every epoch."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(part.labels))[:TRAIN_SAMPLE])
    return Split(part.published, part.labels[chosen], part.indices[chosen], part.part)
