"""The form that makes a Study: every choice of a recipe, with what is refused beside its field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import streamlit as st

from tl_engine.analysis.settings import OPTIMIZERS as OPTIMIZER_TITLES
from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.datasets import DATASETS
from tl_engine.catalog.presets import Preset
from tl_engine.errors import Problem, RecipeError
from tl_engine.machine import recommended_settings
from tl_engine.recipe import (
    BATCHNORM_POLICIES,
    HEAD_INPUTS,
    MAXIMUM_EPOCHS,
    OPTIMIZERS,
    PRECISIONS,
    SCHEDULES,
    Phase,
    Recipe,
)
from tl_engine.study import MAXIMUM_NAME, Study, name_arms, with_reversed
from ui.text import escape

SETTINGS = (
    "dataset",
    "train_images",
    "backbone",
    "pretrained",
    "head_input",
    "batchnorm",
    "image_size",
    "batch_size",
    "augmentation",
    "precision",
    "xla",
)
HEAD_INPUT_TITLES = {
    "pooled-avg": "Pooled features (mean)",
    "pooled-max": "Pooled features (maximum)",
    "logits": "ImageNet logits",
    "softmax": "ImageNet softmax",
}
BATCHNORM_TITLES = {
    "as pretrained": "As pretrained (fixed)",
    "adapt": "Adapt while unfrozen",
}
PRECISION_TITLES = {"float32": "Single (float32)", "mixed float16": "Half, mixed (float16)"}
SCHEDULE_TITLES = {"constant": "Constant", "cosine": "Falls along a cosine"}

Slots = defaultdict[str, list[Any]]
"""Per field, the places under its widgets where a refusal is written."""


def fill_from_preset(preset: Preset) -> None:
    """Put a preset into the form."""
    _fill(preset.study(**recommended_settings()), preset.title, preset.orders, preset.reverse)


def fill_from_study(study: Study, title: str) -> None:
    """Put a study into the form; its arms share the first one's settings."""
    _fill(study, title, [arm.recipe.phases for arm in study.arms], reverse=False)


def ask() -> Study | None:
    """Draw the form; the study, or None while something in it is refused."""
    slots: Slots = defaultdict(list)
    halves = st.grid(2, min_column_width=460, gap="medium")
    with halves.cell():
        values = _ask_settings(slots)
    with halves.cell():
        orders = _ask_orders(slots)
    study, problems = _compose(values, orders)
    _explain(problems, slots)
    return study


def _fill(study: Study, title: str, orders: Iterable[tuple[Phase, ...]], reverse: bool) -> None:
    state, recipe = st.session_state, study.arms[0].recipe
    for name in SETTINGS:
        state[f"form-{name}"] = getattr(recipe, name)
    state["form-train_images"] = recipe.training_images
    state["form-title"] = title
    state["form-pairs"] = study.pairs
    state["form-reverse"] = reverse
    state["form-orders"] = [[_new_phase(phase) for phase in phases] for phases in orders]


def _new_phase(phase: Phase) -> int:
    """Put a phase's values under widget keys of their own; the phase's number."""
    state = st.session_state
    state["form-phases-made"] = number = state.get("form-phases-made", 0) + 1
    state[f"trainable-{number}"] = phase.trainable
    state[f"epochs-{number}"] = phase.epochs
    state[f"learning_rate-{number}"] = f"{phase.learning_rate:g}".replace("e-0", "e-")
    state[f"optimizer-{number}"] = phase.optimizer
    state[f"schedule-{number}"] = phase.schedule
    state[f"patience-{number}"] = phase.patience or 0
    return number


def _ask_settings(slots: Slots) -> dict[str, Any]:
    st.text_input("Title", key="form-title", max_chars=MAXIMUM_NAME)
    slots["title"].append(st.empty())
    values: dict[str, Any] = {}

    def field(name: str, widget: Any, label: str, **options: Any) -> None:
        values[name] = widget(label, key=f"form-{name}", **options)
        slots[name].append(st.empty())

    left, right = st.columns(2)
    with left:
        field("dataset", st.selectbox, "Dataset", options=list(DATASETS), format_func=_dataset)
    with right:
        data = DATASETS[values["dataset"]]
        field(
            "train_images",
            st.number_input,
            "Training images",
            step=100,
            min_value=None,
            help=f"{escape(data.title)} has {data.default_train:,}; "
            "fewer are drawn evenly per class.",
        )
    field("backbone", st.selectbox, "Backbone", options=list(BACKBONES), format_func=_backbone)
    left, right = st.columns(2)
    with left:
        field("pretrained", st.toggle, "Pretrained on ImageNet")
    with right:
        field("augmentation", st.toggle, "Augmentation", help=AUGMENTATION_HELP)
    left, right = st.columns(2)
    with left:
        field(
            "head_input",
            st.selectbox,
            "Head input",
            options=HEAD_INPUTS,
            format_func=HEAD_INPUT_TITLES.get,
            help=HEAD_INPUT_HELP,
        )
        field("image_size", st.number_input, "Image size (px)", step=32, min_value=None)
    with right:
        field(
            "batchnorm",
            st.selectbox,
            "BatchNorm",
            options=BATCHNORM_POLICIES,
            format_func=BATCHNORM_TITLES.get,
            help=BATCHNORM_HELP,
        )
        field("batch_size", st.number_input, "Batch size", step=16, min_value=None)
    if values["augmentation"]:
        st.session_state["form-xla"] = False
    proposed = recommended_settings(augmentation=values["augmentation"])
    changed = any(st.session_state[f"form-{name}"] != proposed[name] for name in proposed)
    label = "Arithmetic (changed)" if changed else "Arithmetic"
    with st.popover(label, icon=":material/memory:", type="tertiary", key="form-arithmetic"):
        field(
            "precision",
            st.segmented_control,
            "Precision",
            options=PRECISIONS,
            format_func=PRECISION_TITLES.get,
            required=True,
            help=PRECISION_HELP,
        )
        field(
            "xla",
            st.toggle,
            "Compile with XLA",
            help=XLA_HELP,
            disabled=values["augmentation"],
        )
    if not DATASETS[values["dataset"]].offline:
        st.caption(f"{escape(data.title)} is downloaded when first used: {data.source}")
    chosen = BACKBONES[values["backbone"]]
    if values["pretrained"] and chosen.pretrained and not chosen.offline:
        st.caption(f"The weights of {escape(chosen.title)} are downloaded when first used.")
    return values


def _ask_orders(slots: Slots) -> list[list[dict[str, Any]]]:
    orders = st.session_state["form-orders"]
    st.toggle(
        "Also run the reversed order, as an arm of its own",
        key="form-reverse",
        help="Same seeds, same split, same head to begin with: only the order differs.",
    )
    left, _ = st.columns(2)
    with left:
        st.number_input(
            "Paired seeds",
            key="form-pairs",
            step=1,
            min_value=None,
            help="Every arm is trained once per seed. 1 is a look; 10 can carry a conclusion.",
        )
        slots["pairs"].append(st.empty())
    arms = (
        st.tabs([f"Order {number}" for number in range(1, len(orders) + 1)])
        if len(orders) > 1
        else [st.container()]
    )
    values = []
    for index, (arm, order) in enumerate(zip(arms, orders, strict=True)):
        with arm:
            values.append(_ask_phases(index, order, slots))
    return values


def _ask_phases(arm: int, order: list[int], slots: Slots) -> list[dict[str, Any]]:
    """The editable table of one arm's phases, top to bottom in the order of training."""
    values = []
    for position, number in enumerate(order):
        with st.container(border=True):
            value = _ask_phase(arm, position, number, slots)
            with st.container(horizontal=True, gap="small"):
                value |= _ask_more(number)
                _phase_buttons(order, position, number)
            values.append(value)
    slots[f"arm{arm}.phases"].append(st.empty())
    st.button(
        "Add a phase",
        icon=":material/add:",
        key=f"add-{arm}",
        on_click=lambda: order.append(_new_phase(Phase("head", 1, 1e-3))),
    )
    return values


def _ask_phase(arm: int, position: int, number: int, slots: Slots) -> dict[str, Any]:
    columns = st.columns([5, 2, 3, 3])
    blocks = len(BACKBONES[st.session_state["form-backbone"]].blocks)
    options: list[str | int] = ["head", "all", *range(1, blocks)]
    chosen = st.session_state[f"trainable-{number}"]
    if chosen not in options:
        options.append(chosen)
    value: dict[str, Any] = {}
    fields: dict[str, Callable[[], Any]] = {
        "trainable": lambda: st.selectbox(
            f"Phase {position + 1} trains",
            options,
            format_func=trainable_title,
            key=f"trainable-{number}",
        ),
        "epochs": lambda: st.number_input(
            "Epochs", step=1, min_value=None, max_value=None, key=f"epochs-{number}"
        ),
        "learning_rate": lambda: st.text_input("Learning rate", key=f"learning_rate-{number}"),
        "optimizer": lambda: st.selectbox(
            "Optimizer",
            OPTIMIZERS,
            format_func=OPTIMIZER_TITLES.__getitem__,
            key=f"optimizer-{number}",
        ),
    }
    for column, (name, widget) in zip(columns, fields.items(), strict=True):
        with column:
            value[name] = widget()
    for name in (*fields, "patience"):
        slots[f"arm{arm}.phases.{position}.{name}"].append(st.empty())
    value["learning_rate"] = _number(value["learning_rate"])
    return value


def _ask_more(number: int) -> dict[str, Any]:
    """What few change: how the learning rate falls, and whether the phase may end early."""
    state = st.session_state
    changed = state[f"schedule-{number}"] != "constant" or state[f"patience-{number}"]
    label = "More (changed)" if changed else "More"
    with st.popover(label, icon=":material/tune:", type="tertiary", key=f"more-{number}"):
        schedule = st.segmented_control(
            "Learning rate",
            SCHEDULES,
            format_func=SCHEDULE_TITLES.__getitem__,
            key=f"schedule-{number}",
            required=True,
        )
        patience = st.number_input(
            "End early after epochs without gain",
            min_value=0,
            max_value=MAXIMUM_EPOCHS,
            step=1,
            key=f"patience-{number}",
            help="Ends the phase when validation loss has not fallen for so many epochs; "
            "0 means never. The weights stay those of its last epoch.",
        )
    return {"schedule": schedule, "patience": patience or None}


def _phase_buttons(order: list[int], position: int, number: int) -> None:
    def move(by: int) -> None:
        order.insert(position + by, order.pop(position))

    def remove() -> None:
        order.pop(position)

    st.button(
        "Up",
        icon=":material/arrow_upward:",
        type="tertiary",
        key=f"up-{number}",
        disabled=position == 0,
        on_click=move,
        args=(-1,),
    )
    st.button(
        "Down",
        icon=":material/arrow_downward:",
        type="tertiary",
        key=f"down-{number}",
        disabled=position == len(order) - 1,
        on_click=move,
        args=(1,),
    )
    st.button(
        "Remove",
        icon=":material/close:",
        type="tertiary",
        key=f"remove-{number}",
        on_click=remove,
    )


def _compose(
    values: dict[str, Any], orders: list[list[dict[str, Any]]]
) -> tuple[Study | None, list[Problem]]:
    """The study that the form describes, or every problem of every arm."""
    state, recipes, problems = st.session_state, [], []
    data = DATASETS[values["dataset"]]
    if values["train_images"] == data.default_train:
        values = {**values, "train_images": None}
    for arm, order in enumerate(orders):
        try:
            recipes.append(Recipe(tuple(Phase(**phase) for phase in order), **values))
        except RecipeError as error:
            problems += [
                Problem(f"arm{arm}.{field}" if field.startswith("phases") else field, sentence)
                for field, sentence in error.problems
            ]
    if problems:
        return None, problems
    if state["form-reverse"]:
        recipes = list(with_reversed(recipes))
    try:
        return Study(state["form-title"], name_arms(recipes), state["form-pairs"]), []
    except RecipeError as error:
        return None, list(error.problems)


def _explain(problems: list[Problem], slots: Slots) -> None:
    """Write each refusal beside its field; one without a place of its own at the end."""
    for field, sentence in dict.fromkeys(problems):
        place = slots[field][0] if slots[field] else st
        place.error(escape(sentence), icon=":material/error:")


def _number(text: str) -> float | str:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _dataset(name: str) -> str:
    return DATASETS[name].title


def _backbone(name: str) -> str:
    chosen = BACKBONES[name]
    return f"{chosen.title} · {chosen.parameters('pooled-avg') / 1e6:.1f} M parameters"


def trainable_title(value: str | int) -> str:
    """What a phase trains, in words."""
    titles = {"head": "Head (freeze)", "all": "All (fine-tune)"}
    if isinstance(value, str):
        return titles.get(value, value)
    return f"Head and top {value} block" + ("s" if value > 1 else "")


AUGMENTATION_HELP = "Random horizontal flips and shifts of up to 10 % on training images."
HEAD_INPUT_HELP = (
    "What the new classifier sees. Pooled features are usual. The article's head stood on the "
    "ImageNet softmax, through which it could hardly learn in its first phase."
)
BATCHNORM_HELP = (
    "As pretrained: BatchNorm layers never change, in no phase. "
    "Adapt: in unfrozen blocks they learn and follow the new images. The same in every arm."
)
PRECISION_HELP = (
    "Half precision is faster on a GPU and no faster on a CPU. Variables and the head stay in "
    "single precision. Thaw proposes what suits this machine; it belongs to the recipe, for it "
    "changes the bits."
)
XLA_HELP = (
    "Joins many small operations into few: faster on a GPU, 2 to 10 times slower on a CPU. "
    "Thaw proposes what suits this machine. It cannot compile augmentation."
)
