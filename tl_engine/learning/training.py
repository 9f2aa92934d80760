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
from tl_engine.learning import model as networks
from tl_engine.learning.batches import Batches, epoch_order
from tl_engine.learning.device import prepare_device
from tl_engine.learning.downloads import prepare
from tl_engine.runs import Run, epoch_line
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


class Stopped(Exception):  # noqa: N818 - a message to the worker, not an error
    """Somebody asked the run to stop."""


@dataclass
class Pulse:
    """Looks for a stop after every batch, and says now and then where the run is.

    Attributes:
        total, seen, skipped: work of the run, done by this process, and done by one before it.
        started: when this process began to train, on the performance counter.
    """

    run: Run
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
    """Lets a Pulse beat after every batch of training or inference."""

    def __init__(self, beat: Callable[[int], None]) -> None:
        super().__init__()
        self._beat = beat

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self._beat(batch)

    def on_predict_batch_end(self, batch: int, logs: Any = None) -> None:
        self._beat(batch)


class Trainer:
    """What a run needs while it trains.

    Attributes:
        model: compiled by set_phase.
        reader: the same layers, for inference.
    """

    def __init__(self, run: Run) -> None:
        self.began = time.perf_counter()
        self.run, self.recipe, self.seeds = run, run.recipe, run.seeds
        self.phases: list[dict[str, Any]] = []
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

    def build(self) -> int:
        """Make the network, and put the last committed epoch back.

        Returns:
            That epoch; 0 for a run that begins.
        """
        self.pulse.stage(f"Building {self.recipe.backbone}")
        checkpoint = self.run.checkpoint()
        self.model = networks.build_model(self.recipe, self.seeds, weights=checkpoint is None)
        self.reader = networks.reader(self.model)
        self.run.rewind_history(checkpoint.epoch if checkpoint else 0)
        if checkpoint is None:
            return 0
        networks.assign(self.model.variables, checkpoint.model)
        self._optimizer_arrays = checkpoint.optimizer
        return checkpoint.epoch

    def train(self) -> None:
        """Every phase from the last committed epoch on."""
        done, first = self.build(), 1
        self.pulse.started = time.perf_counter()
        self.startup = self.pulse.started - self.began
        for index, phase in enumerate(self.recipe.phases):
            epochs = range(max(first, done + 1), first + phase.epochs)
            resumes = first <= done < first + phase.epochs - 1
            first += phase.epochs
            skipped = 1 - len(epochs) / phase.epochs
            self.pulse.skipped += skipped * phase_work(phase, self.sizes)
            if epochs:
                self._train_phase(index, epochs, resumes)

    def _train_phase(self, index: int, epochs: range, resumes: bool) -> None:
        phase = self.recipe.phases[index]
        began = time.perf_counter()
        networks.set_phase(self.model, self.recipe, phase)
        if resumes:
            networks.assign(self.model.optimizer.variables, self._optimizer_arrays)
        audit = Audit(self.model)
        timing = {"setup": time.perf_counter() - began, "training": 0.0, "evaluation": 0.0}
        per_epoch = []
        for epoch in epochs:
            per_epoch.append(self._train_epoch(epoch, index, timing))
        self.phases.append(
            {
                "phase": index,
                "trainable": phase.trainable_label,
                "epochs": len(per_epoch),
                "images": len(self.splits.train.labels),
                "evaluated": len(self.splits.validation.labels) + len(self.sample.labels),
                "first_epoch_seconds": per_epoch[0],
                "later_epoch_seconds": per_epoch[1:],
                **timing,
                "audit": audit.result(self.model),
            }
        )

    def _train_epoch(self, epoch: int, index: int, timing: dict[str, float]) -> float:
        """One epoch: train, measure, write the line, commit. Returns its training seconds."""
        phase = self.recipe.phases[index]
        self.pulse.stage("Training", phase=index, epoch=epoch, epochs=self.recipe.total_epochs)
        began = time.perf_counter()
        running_loss = self._fit(epoch, work_per_image(phase))
        trained = time.perf_counter()
        train = self.evaluate(self.sample)
        self.validation = self.evaluate(self.splits.validation)
        measured = time.perf_counter()
        self.run.append_epoch(
            epoch_line(
                epoch,
                index,
                phase,
                {
                    "seconds": measured - began,
                    "images": len(self.splits.train.labels),
                    "running_loss": running_loss,
                    **score(train, self.sample.labels),
                    **{
                        f"val_{name}": value
                        for name, value in score(
                            self.validation, self.splits.validation.labels
                        ).items()
                    },
                },
            )
        )
        self.run.commit(
            epoch,
            networks.arrays_of(self.model.variables),
            networks.arrays_of(self.model.optimizer.variables),
        )
        timing["training"] += trained - began
        timing["evaluation"] += measured - trained
        return trained - began

    def _fit(self, epoch: int, work: float) -> float:
        """One pass over the training images; the mean loss while it was falling."""
        seed = self.seeds.for_epoch(epoch)
        networks.reseed(self.model, seed)
        order = epoch_order(len(self.splits.train.labels), seed)
        batches = Batches(self.splits.train, self.recipe.batch_size, order)
        per_batch = work * len(order) / len(batches)
        beat = BatchBeat(lambda batch: self.pulse.beat(per_batch))
        fitted = self.model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[beat])
        loss = float(fitted.history["loss"][0])
        if not np.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss} in epoch {epoch}: try a smaller learning rate than "
                f"{self.recipe.phase_at(epoch)[1].learning_rate:g}."
            )
        return loss

    def evaluate(self, part: Split) -> np.ndarray:
        """Class probabilities (n, classes) float32, in inference mode."""
        batches = Batches(part, EVALUATION_BATCH)
        per_batch = len(part.labels) / len(batches)
        beat = BatchBeat(lambda batch: self.pulse.beat(per_batch))
        return self.reader.predict(batches, verbose=0, callbacks=[beat])


def train(run: Run) -> None:
    """Train a run to its end, in this process.

    Raises:
        Stopped: if somebody asked for it; what is committed stays.
        FloatingPointError: if the loss is no number any more.
        ThawError: for data or weights that are not to be had.
    """
    device = prepare_device(run.threads)
    trainer = Trainer(run)
    run.record_environment({**device, "fingerprint": trainer.fingerprint})
    trainer.train()
    finish(run, trainer)
    for measurement in measurements_of(run.recipe, trainer.phases, trainer.startup):
        run.add_measurement(measurement)


def finish(run: Run, trainer: Trainer) -> None:
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


class Audit:
    """Hashes variables before a phase, to say afterwards what it changed."""

    def __init__(self, model: keras.Model) -> None:
        self._before = _hashes(model)
        self._allowed = networks.may_change(model)

    def result(self, model: keras.Model) -> dict[str, int]:
        """Numbers of parameters: free, frozen, and how many of each changed."""
        counts = {"free": 0, "free_changed": 0, "frozen": 0, "frozen_changed": 0}
        after = _hashes(model)
        for variable in networks.parameters(model):
            kind = "free" if id(variable) in self._allowed else "frozen"
            size = int(np.prod(variable.shape))
            counts[kind] += size
            if after[id(variable)] != self._before[id(variable)]:
                counts[f"{kind}_changed"] += size
        return counts


def _hashes(model: keras.Model) -> dict[int, bytes]:
    return {
        id(variable): hashlib.sha256(np.asarray(variable).tobytes()).digest()
        for variable in networks.parameters(model)
    }


def _sample(part: Split) -> Split:
    """The fixed training images on which accuracy is measured after every epoch."""
    chosen = np.sort(np.random.default_rng(0).permutation(len(part.labels))[:TRAIN_SAMPLE])
    return Split(part.images[chosen], part.labels[chosen], part.indices[chosen])
