"""Train a run: its phases in order, a history line and a commit per epoch, results at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from tl_engine import data
from tl_engine.analysis.confusion import confusion_counts
from tl_engine.catalog.datasets import dataset
from tl_engine.errors import DataUnavailable
from tl_engine.learning import model as networks
from tl_engine.learning.batches import Batches, epoch_order
from tl_engine.learning.device import prepare_device
from tl_engine.learning.downloads import prepare
from tl_engine.runs import Checkpoint, ClaimedRun, Run, Stopped, epoch_line
from tl_engine.runs.files import versions
from tl_engine.schedule import Next, learning_rate, next_epoch
from tl_engine.splits import Split, split
from tl_engine.work import (
    TRAIN_SAMPLE,
    Sizes,
    measurements_of,
    phase_work,
    total_work,
    work_per_image,
)

EVALUATION_BATCH = 256
REPORT_SECONDS = 0.5
COMMIT_SECONDS = 300.0
"""How much of a long epoch a killed process may lose."""


class Ended(Exception):  # noqa: N818 - a message to the worker, not an error
    """This process was asked to end; the run goes on in another."""


@dataclass
class Pulse:
    """Looks for a stop after every batch, and says now and then where the run is.

    Attributes:
        total, seen, skipped: work of the run, done by this process, and done by one before it.
        started: when this process began to train, on the performance counter.
    """

    run: ClaimedRun
    total: float
    seen: float = 0.0
    skipped: float = 0.0
    started: float = field(default_factory=time.perf_counter)
    where: dict[str, Any] = field(default_factory=dict)
    _reported: float = 0.0

    def stage(self, sentence: str, **where: Any) -> None:
        """Enter a stage that people should see at once."""
        self.where = {"stage": sentence, **where}
        self._report()

    def beat(self, images: float = 0.0) -> None:
        """Count work done, in forward passes of one image.

        Raises:
            Stopped: if somebody asked for it.
        """
        if self.run.stop_requested:
            raise Stopped
        self.seen += images
        if time.perf_counter() - self._reported > REPORT_SECONDS:
            self._report()

    def _report(self) -> None:
        self._reported = time.perf_counter()
        spent = self._reported - self.started
        done = min((self.skipped + self.seen) / self.total, 1.0)
        fresh = self.seen / self.total
        left = spent / fresh * (1 - done) if fresh > 0.02 else None
        self.run.report({**self.where, "fraction": round(done, 4), "seconds_left": left})


class BatchBeat(keras.callbacks.Callback):
    """Calls back after every batch of training or inference, and puts the running loss of an
    epoch back that was interrupted.

    Args:
        beat: told how many batches of this call are done.
        loss: what the loss metric had summed up before this call.
    """

    def __init__(self, beat: Callable[[int], None], loss: list[float] | None = None) -> None:
        super().__init__()
        self._beat = beat
        self._loss = loss

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        for variable, value in zip(_loss_state(self.model), self._loss or (), strict=False):
            variable.assign(value)

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._beat(batch + 1)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._beat(batch + 1)


class Trainer:
    """What a run needs while it trains.

    Attributes:
        model: compiled by set_phase.
        reader: the same layers, for inference.
        history: the run's lines so far.
        step: batches of the next epoch that are done already.
        phases: what is known of the phases that are over: timings and audit.
        current: the same of the phase that is not, with its variables' hashes before it.
    """

    def __init__(self, run: ClaimedRun) -> None:
        self.began = time.perf_counter()
        self.run, self.recipe, self.seeds = run, run.recipe, run.seeds
        self.history: list[dict[str, Any]] = []
        self.step, self.loss = 0, [0.0, 0.0]
        self.phases: list[dict[str, Any]] = []
        self.current: dict[str, Any] = {}
        self.pulse = Pulse(run, 1.0)
        self.pulse.stage(f"Loading {dataset(self.recipe.dataset).title}")
        prepare(self.recipe.dataset)
        images = data.load(self.recipe.dataset)
        self.splits = split(images, self.recipe.train_images, self.seeds.data)
        self.fingerprint = images.fingerprint
        self.sample = _sample(self.splits.train)
        parts = (self.splits.train, self.sample, self.splits.validation, self.splits.test)
        self.sizes = Sizes(*(len(part.labels) for part in parts))
        self.pulse.total = total_work(self.recipe, self.sizes)

    def build(self) -> None:
        """Make the network, and put the last committed state back."""
        self.pulse.stage(f"Building {self.recipe.backbone}")
        checkpoint = self.run.checkpoint()
        self.model = networks.build_model(self.recipe, self.seeds, weights=checkpoint is None)
        self.reader = networks.reader(self.model)
        self.run.rewind_history(checkpoint.epoch if checkpoint else 0)
        if checkpoint:
            self._put_back(checkpoint)
        self.committed = time.perf_counter()

    def _put_back(self, checkpoint: Checkpoint) -> None:
        networks.assign(self.model.variables, checkpoint.model)
        self._optimizer_arrays = checkpoint.optimizer
        self.history = self.run.epochs()
        self.step, notes = checkpoint.step, checkpoint.notes
        self.loss = notes.get("loss", self.loss)
        self.phases, self.current = notes.get("phases", []), notes.get("current", {})

    def train(self) -> None:
        """Every epoch from the last committed state on."""
        self.build()
        self.pulse.started = time.perf_counter()
        self.startup = self.pulse.started - self.began
        for line in self.history:
            phase = self.recipe.phases[line["phase"]]
            self.pulse.skipped += phase_work(phase, self.sizes) / phase.epochs
        inside = -1
        while following := next_epoch(self.recipe, self.history):
            if following.phase != inside:
                inside = following.phase
                self._enter_phase(following)
            self._train_epoch(following)

    def _enter_phase(self, following: Next) -> None:
        """Set the phase; within one that began before, put its optimizer's state back."""
        began = time.perf_counter()
        networks.set_phase(self.model, self.recipe, self.recipe.phases[following.phase])
        if following.number > 1 or self.step:
            networks.assign(self.model.optimizer.variables, self._optimizer_arrays)
        if self.current.get("phase") != following.phase:
            self.current = {
                "phase": following.phase,
                "trainable": self.recipe.phases[following.phase].trainable_label,
                "images": len(self.splits.train.labels),
                "evaluated": len(self.splits.validation.labels) + len(self.sample.labels),
                "setup": time.perf_counter() - began,
                "evaluation": 0.0,
                "epoch_seconds": [],
                "before": hashes(self.model),
            }

    def _train_epoch(self, following: Next) -> None:
        """One epoch: train, measure, write the line, commit."""
        epoch, index = following.epoch, following.phase
        self.pulse.stage("Training", phase=index, epoch=epoch, epochs=self.recipe.total_epochs)
        began = time.perf_counter()
        self.model.optimizer.learning_rate = learning_rate(
            self.recipe.phases[index], following.number
        )
        whole = self.step == 0
        running_loss = self._fit(following)
        trained = time.perf_counter()
        train = self.evaluate(self.sample)
        self.validation = self.evaluate(self.splits.validation)
        measured = time.perf_counter()
        line = epoch_line(
            epoch,
            index,
            self.recipe.phases[index],
            {
                "learning_rate": learning_rate(self.recipe.phases[index], following.number),
                "seconds": measured - began,
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
        if following_one is None or following_one.phase != index:
            self._leave_phase(following.number)
        self.step, self.loss = 0, [0.0, 0.0]
        self._commit(epoch)

    def _leave_phase(self, epochs: int) -> None:
        """Close the record of the phase: what it took, and what it changed."""
        before = self.current.pop("before", {})
        record = {**self.current, "epochs": epochs, "audit": audit(self.model, before)}
        phase = self.recipe.phases[record["phase"]]
        left_out = 1 - epochs / phase.epochs
        self.pulse.skipped += left_out * phase_work(phase, self.sizes)
        self.phases.append(record)
        self.current = {}

    def _fit(self, following: Next) -> float:
        """The rest of one pass over the training images; the mean loss while it was falling."""
        seed = self.seeds.for_epoch(following.epoch)
        size, skipped = self.recipe.batch_size, self.step
        if not skipped:
            networks.reseed(self.model, seed)
        order = epoch_order(len(self.splits.train.labels), seed)
        batches = Batches(self.splits.train, size, order[skipped * size :])
        phase = self.recipe.phases[following.phase]
        per_batch = work_per_image(phase) * size

        def beat(done: int) -> None:
            self.step = skipped + done
            self._commit_inside(following.epoch - 1)
            self.pulse.beat(per_batch)

        if len(batches):
            beats = BatchBeat(beat, self.loss)
            self.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[beats])
            self.loss = [float(variable) for variable in _loss_state(self.model)]
        return self.loss[0] / self.loss[1]

    def _commit_inside(self, epoch: int) -> None:
        """Within an epoch: commit when it is long, or when this process has to end.

        Raises:
            Ended: after a commit, where it has to.
        """
        late = time.perf_counter() - self.committed > COMMIT_SECONDS
        if late or self.run.is_ending:
            self.loss = [float(variable) for variable in _loss_state(self.model)]
            if np.isfinite(self.loss).all():  # else the epoch's end says what became of it
                self._commit(epoch)
        if self.run.is_ending:
            raise Ended

    def _commit(self, epoch: int) -> None:
        notes = {"loss": self.loss, "phases": self.phases, "current": self.current}
        model = networks.arrays_of(self.model.variables)
        optimizer = networks.arrays_of(self.model.optimizer.variables)
        self.run.commit(Checkpoint(epoch, self.step, model, optimizer, notes))
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
        batches = Batches(part, EVALUATION_BATCH)
        per_batch = len(part.labels) / len(batches)
        beat = BatchBeat(lambda done: self.pulse.beat(per_batch))
        return self.reader.predict(batches, verbose=0, callbacks=[beat])


def train(run: ClaimedRun) -> None:
    """Train a run to its end, in this process.

    Raises:
        Stopped: if somebody asked for it; what is committed stays.
        FloatingPointError: if the loss is no number any more.
        ThawError: for data or weights that are not to be had.
    """
    device = prepare_device(run.threads)
    trainer = Trainer(run)
    _refuse_other_images(run, trainer.fingerprint)
    environment = {**device, "versions": versions(), "fingerprint": trainer.fingerprint}
    run.record_environment(environment)
    trainer.train()
    finish(run, trainer)
    for measurement in measurements_of(run.recipe, trainer.phases, trainer.startup):
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


def finish(run: ClaimedRun, trainer: Trainer) -> None:
    """Write what a finished run leaves: probabilities, scores, the model."""
    trainer.pulse.stage("Measuring the test split")
    if not hasattr(trainer, "validation"):  # every epoch was committed before this process began
        trainer.validation = trainer.evaluate(trainer.splits.validation)
    parts = {
        "validation": (trainer.splits.validation, trainer.validation),
        "test": (trainer.splits.test, trainer.evaluate(trainer.splits.test)),
    }
    arrays, scores = {}, {}
    classes = dataset(run.recipe.dataset).classes
    for name, (part, probabilities) in parts.items():
        arrays[name] = probabilities.astype(np.float16)
        arrays[f"{name}_labels"] = part.labels
        arrays[f"{name}_indices"] = part.indices
        predicted = decide(probabilities)
        scores[name] = {
            "correct": int((predicted == part.labels).sum()),
            "total": len(part.labels),
            **score(probabilities, part.labels),
            "confusion": confusion_counts(part.labels, predicted, classes).tolist(),
        }
    run.record_results({"splits": scores, "phases": trainer.phases}, arrays)
    trainer.pulse.stage("Saving the model")
    networks.restore_published_dropout(trainer.model)
    run.save_model(trainer.model.save)


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean cross-entropy and accuracy of class probabilities (n, classes)."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "loss": float(-np.log(np.maximum(of_truth, keras.config.epsilon())).mean()),
        "accuracy": float((decide(probabilities) == labels).mean()),
    }


def decide(probabilities: np.ndarray) -> np.ndarray:
    """The predicted class per image; of the float16 values that are stored, so that every page
    counts the same images right."""
    return probabilities.astype(np.float16).argmax(axis=1)


def audit(model: keras.Model, before: dict[str, str]) -> dict[str, int]:
    """What a phase changed, against the hashes of the variables before it.

    Returns:
        Numbers of parameters: free, frozen, and how many of each changed.
    """
    counts = {"free": 0, "free_changed": 0, "frozen": 0, "frozen_changed": 0}
    allowed, after = networks.may_change(model), hashes(model)
    for variable, name in zip(networks.parameters(model), after, strict=True):
        kind = "free" if id(variable) in allowed else "frozen"
        size = int(np.prod(variable.shape))
        counts[kind] += size
        if after[name] != before.get(name):
            counts[f"{kind}_changed"] += size
    return counts


def hashes(model: keras.Model) -> dict[str, str]:
    """The first 16 hex digits of the sha256 of each parameter variable, by its number."""
    return {
        f"{number:04d}": hashlib.sha256(np.asarray(variable).tobytes()).hexdigest()[:16]
        for number, variable in enumerate(networks.parameters(model))
    }


def _loss_state(model: keras.Model) -> list[keras.Variable]:
    """The sum and the count of which the running loss is the quotient."""
    loss = next(metric for metric in model.metrics if metric.name == "loss")
    return list(loss.variables)


def _sample(part: Split) -> Split:
    """The fixed training images on which accuracy is measured after every epoch."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(part.labels))[:TRAIN_SAMPLE])
    return Split(part.images[chosen], part.labels[chosen], part.indices[chosen])
