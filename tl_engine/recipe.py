"""What to train: Phase and Recipe, values that check themselves.

A recipe holds everything but the seed that is needed to repeat a run. The order of phases is
data: fine-tune first is the tuple (all, head), freeze first is (head, all).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, NamedTuple

from tl_engine.catalog.backbones import Backbone, backbone
from tl_engine.catalog.datasets import DATASETS, Dataset, dataset
from tl_engine.catalog.settings import (
    ARITHMETIC,
    BATCHNORM_POLICIES,
    HEAD_INPUTS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    Choice,
    Entry,
    Setting,
    Switch,
    Whole,
    is_whole,
)
from tl_engine.errors import Problem, RecipeError

MAXIMUM_FEATURES = 2 * 10**9
"""Bytes of a phase's features. The same for all, whatever disk they have: the way of computing them
must not depend on the machine. A head's are far below; top blocks' at 224 px may be 80 GB."""

MAXIMUM_EPOCHS = 1000
MAXIMUM_LEARNING_RATE = 10.0
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

    def learning_rate_at(self, number: int) -> float:
        """The learning rate of the phase's epoch `number` (1-based).

        The cosine is that of Loshchilov and Hutter (2017), SGDR, without restarts, towards 0: it
        begins at the phase's rate, and would reach 0 after its last epoch.
        """
        if self.schedule == "constant":
            return self.learning_rate
        return self.learning_rate * (1 + math.cos(math.pi * (number - 1) / self.epochs)) / 2

    def is_over(self, losses: Sequence[float]) -> bool:
        """Whether it has had its epochs, or waited long enough for a lower validation loss.

        Args:
            losses: validation loss after each of its epochs so far.
        """
        if len(losses) >= self.epochs:
            return True
        if self.patience is None or not losses:
            return False
        return len(losses) - 1 - losses.index(min(losses)) >= self.patience

    def problems(self) -> Iterator[Problem]:
        """What cannot be trained, one sentence per field; nothing if all is well."""
        named, rate = self.trainable in ("head", "all"), self.learning_rate
        is_blocks = is_whole(self.trainable) and int(self.trainable) >= 1
        is_rate = _is_number(rate) and 0 < rate <= MAXIMUM_LEARNING_RATE
        ends = self.patience is None or _is_count_of_epochs(self.patience)
        optimizers, schedules = ", ".join(OPTIMIZERS), ", ".join(SCHEDULES)
        count, most = f"1 to {MAXIMUM_EPOCHS} whole epochs", f"{MAXIMUM_LEARNING_RATE:g}"
        blocks = 'A phase trains "head", "all" or its top 1, 2 … blocks'
        usual = f"A learning rate is above 0 and at most {most} (1e-5 to 1e-3 is usual)"
        for name, is_right, right in (
            ("trainable", named or is_blocks, blocks),
            ("epochs", _is_count_of_epochs(self.epochs), f"A phase has {count}"),
            ("learning_rate", is_rate, usual),
            ("optimizer", self.optimizer in OPTIMIZERS, f"An optimizer is one of {optimizers}"),
            ("schedule", self.schedule in SCHEDULES, f"A schedule is one of {schedules}"),
            ("patience", ends, f"A phase ends early after {count} without gain, or never"),
        ):
            if not is_right:
                yield Problem(name, f"{right}, got {getattr(self, name)!r}.")


class NextEpoch(NamedTuple):
    """The epoch to train next.

    Attributes:
        epoch: 1-based, continuous over phases.
        phase: index of its phase.
        number: 1-based, within its phase.
    """

    epoch: int
    phase: int
    number: int


@dataclass(frozen=True)
class Recipe:
    """Everything but the seed that is needed to repeat a run.

    Attributes:
        phases: in the order in which they are trained.
        backbone, dataset: names; whether they exist is checked when a study is launched
            (`catalog.checks`), so that a run can be read after its entry is gone.
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
        snapshot: the dataset's description; no setting, and not compared.

    Raises:
        RecipeError: naming every field whose value has the wrong form.
    """

    phases: tuple[Phase, ...]
    backbone: str = Entry(title="Backbone", row=2).field("efficientnet-lite0")
    dataset: str = Entry(title="Dataset", row=1).field("fashion-mini")
    pretrained: bool = Switch(title="Pretrained on ImageNet", row=3).field(True)
    head_input: str = Choice(
        title="Head input", values=HEAD_INPUTS, row=4, is_varied=True, term="Head input"
    ).field("pooled-avg")
    batchnorm: str = Choice(
        title="BatchNorm",
        values=BATCHNORM_POLICIES,
        row=4,
        is_varied=True,
        prefix="BatchNorm ",
        term="BatchNorm",
    ).field("as pretrained")
    augmentation: bool = Switch(title="Augmentation", row=3, term="Augmentation").field(False)
    train_images: int | None = Whole(
        title="Training images",
        sentence="A run trains on 1 to {:,} images, or all",
        most=10**9,
        step=100,
        example=500,
        may_be_all=True,
        row=1,
    ).field(None)
    image_size: int = Whole(
        title="Image size (px)",
        sentence="An image has a side of 1 to {} px",
        most=MAXIMUM_IMAGE_SIZE,
        step=32,
        example=96,
        row=5,
    ).field(64)
    batch_size: int = Whole(
        title="Batch size",
        sentence="A batch has 1 to {} images",
        most=4096,
        step=16,
        example=64,
        row=5,
    ).field(64)
    precision: str = Choice(
        title="Precision",
        values=PRECISIONS,
        side_by_side=True,
        group=ARITHMETIC,
        term="Precision",
    ).field("float32")
    xla: bool = Switch(title="Compile with XLA", group=ARITHMETIC, term="XLA").field(False)
    snapshot: Dataset | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if problems := list(self._problems()):
            raise RecipeError(problems)
        if self.snapshot is None or self.snapshot.name != self.dataset:
            object.__setattr__(self, "snapshot", DATASETS.get(self.dataset))

    @property
    def described_backbone(self) -> Backbone:
        """What the catalog says of its backbone; raises CatalogError where it is gone."""
        return backbone(self.backbone)

    @property
    def described_dataset(self) -> Dataset:
        """The description of its dataset as it was when the recipe was made, or as the catalog has
        it; raises CatalogError where there is neither."""
        return self.snapshot or dataset(self.dataset)

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
        return self.head_input in ("logits", "softmax")

    @property
    def training_images(self) -> int:
        """Images seen in one epoch."""
        return self.train_images or self.described_dataset.default_train

    @property
    def validation_images(self) -> int:
        """Images measured after every epoch."""
        return self.described_dataset.validation_images

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

    def next_epoch(self, history: Sequence[Mapping[str, Any]]) -> NextEpoch | None:
        """The epoch after those of the history; None where every phase is over. Nothing else
        decides it, so a run that died goes on exactly as if it had not.

        Args:
            history: the run's lines so far, oldest first, each with phase and val_loss.
        """
        phase = history[-1]["phase"] if history else 0
        losses = [line["val_loss"] for line in history if line["phase"] == phase]
        if self.phases[phase].is_over(losses):
            phase, losses = phase + 1, []
        if phase == len(self.phases):
            return None
        return NextEpoch(len(history) + 1, phase, len(losses) + 1)

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
        bytes_of_image = self.described_backbone.feature_bytes(
            phase.trainable, self.head_input, self.image_size
        )
        size = bytes_of_image * (self.training_images + self.validation_images)
        if size > MAXIMUM_FEATURES:
            most = f"{MAXIMUM_FEATURES / 1e9:.0f} GB"
            return f"What they say would take {size / 1e9:.1f} GB, and at most {most} are kept."
        return ""

    def trains_everything(self, phase: Phase) -> bool:
        """Whether the phase leaves no block of the backbone frozen."""
        return phase.trainable in ("all", self.blocks)

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
        return tuple(
            self.described_backbone.trainable_parameters(
                phase.trainable, self.batchnorm, self.head_input, self.described_dataset.classes
            )
            for phase in self.phases
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON; `from_dict` gives the same recipe back."""
        phases = [asdict(phase) for phase in self.phases]
        return {"phases": phases, **{name: getattr(self, name) for name in SETTINGS}}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], snapshot: Dataset | None = None) -> Recipe:
        """Read what `to_dict` wrote, with the description of its dataset where one was written
        down; whether backbone and dataset still exist does not matter.

        Raises:
            RecipeError: for missing or unknown fields, or values of the wrong form.
        """
        phases = data.get("phases")
        if not isinstance(phases, list | tuple) or not all(isinstance(p, Mapping) for p in phases):
            raise RecipeError([Problem("phases", f"Phases are a list of phases, got {phases!r}.")])
        made = tuple(_from_fields(Phase, phase, f"phases.{i}.") for i, phase in enumerate(phases))
        return replace(_from_fields(cls, {**data, "phases": made}), snapshot=snapshot)

    @property
    def blocks(self) -> int:
        """Blocks of its network that a phase can train, the ImageNet classifier included."""
        return len(self.described_backbone.blocks) + self.uses_top

    def _problems(self) -> Iterator[Problem]:
        if not self.phases:
            yield Problem("phases", "A recipe has at least one phase, got none: add one.")
        for index, phase in enumerate(self.phases):
            for problem in phase.problems():
                yield Problem(f"phases.{index}.{problem.field}", problem.sentence)
        for name, description in SETTINGS.items():
            if sentence := description.problem(getattr(self, name)):
                yield Problem(name, sentence)
        if self.xla is True and self.augmentation is True:
            yield Problem("xla", "XLA cannot compile augmentation: switch one of them off.")


SETTINGS: dict[str, Setting] = {
    one.name: one.metadata["setting"] for one in fields(Recipe) if "setting" in one.metadata
}
"""What a recipe holds besides its phases, by name."""


def _from_fields(kind: Any, data: Mapping[str, Any], prefix: str = "") -> Any:
    """Make a dataclass from a mapping, naming what is unknown or missing."""
    noun = kind.__name__.lower()
    names = {one.name for one in fields(kind)} - {"snapshot"}
    required = {"phases", "trainable", "epochs", "learning_rate"} & names
    sentences = {name: f"{name!r} is no setting of a {noun}." for name in data if name not in names}
    for name in sorted(required - data.keys()):
        sentences[name] = f"A {noun} needs {name.replace('_', ' ')}."
    if sentences:
        raise RecipeError(Problem(prefix + name, text) for name, text in sentences.items())
    return kind(**data)


def _is_count_of_epochs(value: Any) -> bool:
    return is_whole(value) and 1 <= value <= MAXIMUM_EPOCHS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
