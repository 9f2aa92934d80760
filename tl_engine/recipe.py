"""What to train: Phase and Recipe, values that check themselves.

A recipe holds everything but the seed that is needed to repeat a run. The order of phases is
data: fine-tune first is the tuple (all, head), freeze first is (head, all).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from tl_engine.catalog.backbones import BACKBONES, Backbone
from tl_engine.catalog.datasets import DATASETS, Dataset
from tl_engine.errors import Problem, RecipeError

HEAD_INPUTS = ("pooled-avg", "pooled-max", "logits", "softmax")
BATCHNORM_POLICIES = ("as pretrained", "adapt")
OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("constant", "cosine")
PRECISIONS = ("float32", "mixed float16")
MAXIMUM_FEATURES = 2 * 10**9
"""Bytes of a phase's features. The same for all, whatever disk they have: the way of computing them
must not depend on the machine. A head's are far below; top blocks' at 224 px may be 80 GB."""
TOP_INPUTS = ("logits", "softmax")
"""The head inputs that stand on the backbone's own 1000-way ImageNet classifier."""

MAXIMUM_EPOCHS = 1000
MAXIMUM_LEARNING_RATE = 10.0
MAXIMUM_BATCH_SIZE = 4096
MAXIMUM_IMAGE_SIZE = 1024


@dataclass(frozen=True)
class Phase:
    """A stretch of training in which the set of trainable layers is fixed.

    Attributes:
        trainable: "head" (the backbone is frozen), "all", or n for the top n blocks.
        epochs: passes over the training images, 1 to 1000.
        learning_rate: above 0 and at most 10; that of the first epoch.
        optimizer: one of OPTIMIZERS, with Keras' defaults ("sgd" has momentum 0.9).
        schedule: "constant", or "cosine": falls from epoch to epoch along half a cosine.
        patience: end the phase early after so many epochs without a lower validation loss than
            before in the phase; None means never. The weights stay those of its last epoch.
    """

    trainable: str | int
    epochs: int
    learning_rate: float
    optimizer: str = "adam"
    schedule: str = "constant"
    patience: int | None = None

    @property
    def trains_backbone(self) -> bool:
        """Whether gradients flow into the backbone."""
        return self.trainable != "head"

    @property
    def trainable_label(self) -> str:
        """The trainable set in words: "head", "all" or "top 3"."""
        return f"top {self.trainable}" if isinstance(self.trainable, int) else self.trainable

    def problems(self) -> Iterator[Problem]:
        """What cannot be trained, one sentence per field; nothing if all is well."""
        named = self.trainable in ("head", "all")
        blocks = _is_whole(self.trainable) and int(self.trainable) >= 1
        if not named and not blocks:
            yield Problem(
                "trainable",
                f'A phase trains "head", "all" or its top 1, 2 … blocks, got {self.trainable!r}.',
            )
        if not _is_whole(self.epochs) or not 1 <= self.epochs <= MAXIMUM_EPOCHS:
            yield Problem(
                "epochs",
                f"A phase has 1 to {MAXIMUM_EPOCHS} whole epochs, got {self.epochs!r}.",
            )
        if not _is_number(self.learning_rate) or not (
            0 < self.learning_rate <= MAXIMUM_LEARNING_RATE
        ):
            yield Problem(
                "learning_rate",
                f"A learning rate is above 0 and at most {MAXIMUM_LEARNING_RATE:g} "
                f"(1e-5 to 1e-3 is usual), got {self.learning_rate!r}.",
            )
        if self.optimizer not in OPTIMIZERS:
            yield Problem(
                "optimizer",
                f"An optimizer is one of {', '.join(OPTIMIZERS)}, got {self.optimizer!r}.",
            )
        if self.schedule not in SCHEDULES:
            yield Problem(
                "schedule",
                f"A schedule is one of {', '.join(SCHEDULES)}, got {self.schedule!r}.",
            )
        if self.patience is not None and (
            not _is_whole(self.patience) or not 1 <= self.patience <= MAXIMUM_EPOCHS
        ):
            yield Problem(
                "patience",
                f"A phase ends early after 1 to {MAXIMUM_EPOCHS} whole epochs without gain, or "
                f"never, got {self.patience!r}.",
            )


@dataclass(frozen=True)
class Recipe:
    """Everything but the seed that is needed to repeat a run.

    Attributes:
        phases: in the order in which they are trained.
        backbone, dataset: names from the catalog.
        pretrained: start from the published ImageNet weights, or from random ones.
        head_input: what the new classifier sees: globally pooled features (mean or maximum) or
            the backbone's own 1000 ImageNet classes, before or after their softmax.
        batchnorm: "as pretrained" keeps every BatchNormalization layer fixed in every phase;
            "adapt" lets those in trainable blocks learn and move their statistics.
        augmentation: random horizontal flips and shifts of up to 10 % on training images.
        train_images: how many training images, a stratified subset; None means all.
        image_size: side in pixels to which images are resized inside the model.
        batch_size: images per optimizer step.
        precision: "float32", or "mixed float16": layers compute in half precision, variables
            and the head stay float32, the loss is scaled. It changes the bits, and is faster on
            GPUs only.
        xla: compile training steps with XLA, which is faster on GPUs only; not with augmentation.

    Raises:
        RecipeError: naming every field that cannot be trained.
    """

    phases: tuple[Phase, ...]
    backbone: str = "efficientnet-lite0"
    dataset: str = "fashion-mini"
    pretrained: bool = True
    head_input: str = "pooled-avg"
    batchnorm: str = "as pretrained"
    augmentation: bool = False
    train_images: int | None = None
    image_size: int = 64
    batch_size: int = 64
    precision: str = "float32"
    xla: bool = False

    def __post_init__(self) -> None:
        problems = [*self._phase_problems(), *self._choice_problems()]
        if problems:
            raise RecipeError(problems)

    @property
    def total_epochs(self) -> int:
        """Epochs of all phases together; fewer where a phase ends early."""
        return sum(phase.epochs for phase in self.phases)

    @property
    def order(self) -> str:
        """The phases in words, such as "all > head"."""
        return " > ".join(phase.trainable_label for phase in self.phases)

    @property
    def uses_top(self) -> bool:
        """Whether the backbone keeps its 1000-way ImageNet classifier under the new head."""
        return self.head_input in TOP_INPUTS

    @property
    def training_images(self) -> int:
        """Images seen in one epoch."""
        return self.train_images or DATASETS[self.dataset].default_train

    @property
    def validation_images(self) -> int:
        """Images measured after every epoch."""
        data = DATASETS[self.dataset]
        return data.validation or data.train - data.default_train

    def reversed(self) -> Recipe:
        """The same recipe with its phases in the opposite order."""
        return replace(self, phases=self.phases[::-1])

    @property
    def network(self) -> Recipe:
        """What it shares with all recipes that train the same network."""
        return replace(self, phases=(Phase("head", 1, 1e-3),), train_images=None, batch_size=64)

    def stem(self, phases: int) -> Recipe:
        """The recipe with its first phases only."""
        return replace(self, phases=self.phases[:phases])

    def begins_with(self, stem: Recipe) -> bool:
        """Whether its first phases are those of the stem, and all its settings."""
        return self.stem(len(stem.phases)) == stem

    def phase_at(self, epoch: int) -> tuple[int, Phase]:
        """The phase that the epoch (1-based, continuous over phases) belongs to, with its index."""
        last = 0
        for index, phase in enumerate(self.phases):
            last += phase.epochs
            if epoch <= last:
                return index, phase
        raise IndexError(f"The recipe has {last} epochs, asked for epoch {epoch}.")

    def why_no_features(self, phase: Phase) -> str:
        """Why what lies below the layers that a phase trains is computed anew for every batch, in
        a sentence; empty where it is computed once per image, and kept.

        Everything below is a constant function of the image there: frozen layers neither learn
        nor drop anything, and their BatchNorm statistics stand still under either policy.
        """
        if self.trains_everything(phase):
            return "It trains every layer, so no part of the network stays the same."
        if self.augmentation:
            return "Augmentation changes every image in every epoch."
        bytes_ = BACKBONES[self.backbone].feature_bytes(
            phase.trainable, self.head_input, self.image_size
        ) * (self.training_images + self.validation_images)
        if bytes_ > MAXIMUM_FEATURES:
            kept = f"{MAXIMUM_FEATURES / 1e9:.0f} GB"
            return f"What they say would take {bytes_ / 1e9:.1f} GB, and at most {kept} are kept."
        return ""

    def trains_everything(self, phase: Phase) -> bool:
        """Whether the phase leaves no block of the backbone frozen."""
        return phase.trainable in ("all", self._blocks)

    @property
    def is_pristine(self) -> bool:
        """Whether no phase changes what the head is fed, so that all runs on the backbone share
        it."""
        return not any(phase.trains_backbone for phase in self.phases)

    def keeps_features(self, phase: Phase) -> bool:
        """Whether what frozen layers say about the images is computed once, and kept."""
        return not self.why_no_features(phase)

    def trainable_parameters(self) -> tuple[int, ...]:
        """Trainable parameters in each phase."""
        backbone, classes = BACKBONES[self.backbone], DATASETS[self.dataset].classes
        return tuple(
            backbone.trainable_parameters(phase.trainable, self.batchnorm, self.head_input, classes)
            for phase in self.phases
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the same recipe back."""
        return {**asdict(self), "phases": [asdict(phase) for phase in self.phases]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Recipe:
        """Read what `to_dict` wrote.

        Raises:
            RecipeError: for missing or unknown fields, or values that cannot be trained.
        """
        phases = data.get("phases")
        if not isinstance(phases, list | tuple) or not all(isinstance(p, Mapping) for p in phases):
            raise RecipeError([Problem("phases", f"Phases are a list of phases, got {phases!r}.")])
        made = tuple(_from_fields(Phase, phase, f"phases.{i}.") for i, phase in enumerate(phases))
        return _from_fields(cls, {**data, "phases": made})

    @property
    def _blocks(self) -> int:
        return len(BACKBONES[self.backbone].blocks) + self.uses_top

    def _phase_problems(self) -> Iterator[Problem]:
        if not self.phases:
            yield Problem("phases", "A recipe has at least one phase, got none: add one.")
        for index, phase in enumerate(self.phases):
            for problem in phase.problems():
                yield Problem(f"phases.{index}.{problem.field}", problem.sentence)

    def _choice_problems(self) -> Iterator[Problem]:
        backbone = BACKBONES.get(str(self.backbone))
        dataset = DATASETS.get(str(self.dataset))
        yield from _unknown("backbone", self.backbone, BACKBONES)
        yield from _unknown("dataset", self.dataset, DATASETS)
        yield from _unknown("head_input", self.head_input, HEAD_INPUTS)
        yield from _unknown("batchnorm", self.batchnorm, BATCHNORM_POLICIES)
        yield from _unknown("precision", self.precision, PRECISIONS)
        for name in ("pretrained", "augmentation", "xla"):
            if not isinstance(getattr(self, name), bool):
                yield Problem(name, f"{_words(name)} is on or off, got {getattr(self, name)!r}.")
        if self.xla is True and self.augmentation is True:
            yield Problem("xla", "XLA cannot compile augmentation: switch one of them off.")
        if not _is_whole(self.batch_size) or not 1 <= self.batch_size <= MAXIMUM_BATCH_SIZE:
            yield Problem(
                "batch_size",
                f"A batch has 1 to {MAXIMUM_BATCH_SIZE} images, got {self.batch_size!r}.",
            )
        if dataset:
            yield from self._dataset_problems(dataset)
        if backbone:
            yield from self._backbone_problems(backbone)

    def _dataset_problems(self, dataset: Dataset) -> Iterator[Problem]:
        images = self.train_images
        if images is None:
            return
        if not _is_whole(images) or images < dataset.classes:
            yield Problem(
                "train_images",
                f"Training needs at least one image of each of the {dataset.classes} classes "
                f"of {dataset.title}, got {images!r}.",
            )
        elif images > dataset.default_train:
            yield Problem(
                "train_images",
                f"{dataset.title} has {dataset.default_train:,} training images, got {images:,}.",
            )

    def _backbone_problems(self, backbone: Backbone) -> Iterator[Problem]:
        size = self.image_size
        if not _is_whole(size) or not backbone.minimum_size <= size <= MAXIMUM_IMAGE_SIZE:
            yield Problem(
                "image_size",
                f"{backbone.title} takes images of {backbone.minimum_size} to "
                f"{MAXIMUM_IMAGE_SIZE} px, got {size!r}.",
            )
        if self.uses_top and backbone.top is None:
            yield Problem(
                "head_input",
                f"{backbone.title} has no ImageNet classifier to feed the head from: "
                f'choose "pooled-avg" or "pooled-max", got {self.head_input!r}.',
            )
        if self.pretrained and not backbone.pretrained:
            yield Problem(
                "pretrained",
                f"{backbone.title} has no published weights: switch pretrained off.",
            )
        blocks = self._blocks
        for index, phase in enumerate(self.phases):
            if _is_whole(phase.trainable) and int(phase.trainable) > blocks:
                yield Problem(
                    f"phases.{index}.trainable",
                    f"{backbone.title} has {blocks} blocks with this head input, "
                    f"got the top {phase.trainable}.",
                )


SETTINGS = tuple(field.name for field in fields(Recipe) if field.name != "phases")
"""What a recipe holds besides its phases."""


def _from_fields(kind: Any, data: Mapping[str, Any], prefix: str = "") -> Any:
    """Make a dataclass from a mapping, naming what is unknown or missing."""
    known = {field.name: field for field in fields(kind)}
    problems = [
        Problem(prefix + name, f"{name!r} is no setting of a {kind.__name__.lower()}.")
        for name in data
        if name not in known
    ]
    required = {"phases", "trainable", "epochs", "learning_rate"} & known.keys()
    problems += [
        Problem(prefix + name, f"A {kind.__name__.lower()} needs {_words(name).lower()}.")
        for name in sorted(required - data.keys())
    ]
    if problems:
        raise RecipeError(problems)
    return kind(**data)


def _unknown(field: str, value: Any, choices: Any) -> Iterator[Problem]:
    if not isinstance(value, str) or value not in choices:
        yield Problem(field, f"{_words(field)} is one of {', '.join(choices)}, got {value!r}.")


def _words(field: str) -> str:
    return "XLA" if field == "xla" else field.replace("_", " ").capitalize()


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
