"""The form that makes a Study: every choice of a recipe, with what is refused beside its field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import streamlit as st

from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.datasets import DATASETS
from tl_engine.catalog.presets import Preset
from tl_engine.errors import Problem, RecipeError
from tl_engine.machine import recommended_settings
from tl_engine.recipe import (
    BATCHNORM_POLICIES,
    HEAD_INPUTS,
    PRECISIONS,
    Phase,
    Recipe,
)
from tl_engine.study import MAXIMUM_NAME, Study, name_arms, with_reversed
from ui.launch import phases_form, question_form
from ui.launch.phases_form import Slots
from ui.words import escape

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

VARIED = {"head_input": HEAD_INPUT_TITLES, "batchnorm": BATCHNORM_TITLES}
"""Settings of which several values can be compared, with what their values are called."""


def fill_from_preset(preset: Preset) -> None:
    """Put a preset into the form."""
    study = preset.study(**recommended_settings())
    _fill(study, preset.title, preset.orders, preset.varied, preset.reverse)


def fill_from_study(study: Study, title: str) -> None:
    """Put a study into the form; what its arms differ in besides orders and varied settings is
    the first one's."""
    recipes = [arm.recipe for arm in study.arms]
    varied = {name: tuple(dict.fromkeys(getattr(r, name) for r in recipes)) for name in VARIED}
    _fill(study, title, dict.fromkeys(recipe.phases for recipe in recipes), varied, reverse=False)


def ask() -> Study | None:
    """Draw the form; the study, or None while something in it is refused."""
    slots: Slots = defaultdict(list)
    halves = st.grid(2, min_column_width=460, gap="medium")
    with halves.cell():
        values = _ask_settings(slots)
    with halves.cell():
        st.toggle(
            "Also run the reversed order, as an arm of its own",
            key="form-reverse",
            help="Same seeds, same split, same head to begin with: only the order differs.",
        )
        orders = phases_form.ask(slots)
        _ask_varied()
    recipes, problems = _compose(values, orders)
    arms = name_arms(recipes)
    question = question_form.ask(arms, slots)
    study = None
    if not problems:
        try:
            study = Study(st.session_state["form-title"], arms, **question)
        except RecipeError as error:
            problems = list(error.problems)
    _explain(problems, slots)
    return study


def _fill(
    study: Study,
    title: str,
    orders: Iterable[tuple[Phase, ...]],
    varied: Mapping[str, Sequence[str]],
    reverse: bool,
) -> None:
    state, recipe = st.session_state, study.arms[0].recipe
    for name in SETTINGS:
        state[f"form-{name}"] = getattr(recipe, name)
    for name in VARIED:
        others = [value for value in varied.get(name, ()) if value != getattr(recipe, name)]
        state[f"form-varied-{name}"] = others
    state["form-train_images"] = recipe.training_images
    state["form-title"] = title
    state["form-reverse"] = reverse
    state["form-orders"] = [[phases_form.new_phase(phase) for phase in phases] for phases in orders]
    question_form.fill(study)


def _ask_varied() -> None:
    """Other values of a setting, each with every order as arms of their own."""
    state = st.session_state
    changed = any(state[f"form-varied-{name}"] for name in VARIED)
    label = "Vary more than the order" + (" (changed)" if changed else "")
    # No popover: while it is closed it would bring back what a preset has just replaced.
    with st.expander(label, icon=":material/grid_on:"):
        for name, titles in VARIED.items():
            chosen = state[f"form-{name}"]
            options = [value for value in titles if value != chosen]
            state[f"form-varied-{name}"] = [
                value for value in state[f"form-varied-{name}"] if value in options
            ]
            st.multiselect(
                f"{name.replace('_', ' ').capitalize()}: besides {titles[chosen].lower()}",
                options,
                format_func=titles.__getitem__,
                key=f"form-varied-{name}",
                help="Every order is trained with each of them: a grid.",
            )


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
    with st.expander(label, icon=":material/memory:"):
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


def _compose(
    values: dict[str, Any], orders: list[list[dict[str, Any]]]
) -> tuple[list[Recipe], list[Problem]]:
    """The recipes that the form describes, or every problem of every arm."""
    state, recipes, problems = st.session_state, [], []
    data = DATASETS[values["dataset"]]
    if values["train_images"] == data.default_train:
        values = {**values, "train_images": None}
    choices = [[values[name], *state[f"form-varied-{name}"]] for name in VARIED]
    for chosen in product(*choices):
        settings = {**values, **dict(zip(VARIED, chosen, strict=True))}
        for arm, order in enumerate(orders):
            try:
                recipes.append(Recipe(tuple(Phase(**phase) for phase in order), **settings))
            except RecipeError as error:
                problems += [
                    Problem(f"arm{arm}.{field}" if field.startswith("phases") else field, sentence)
                    for field, sentence in error.problems
                ]
    if problems:
        return [], problems
    return list(with_reversed(recipes)) if state["form-reverse"] else recipes, []


def _explain(problems: list[Problem], slots: Slots) -> None:
    """Write each refusal beside its field; one without a place of its own at the end."""
    for field, sentence in dict.fromkeys(problems):
        place = slots[field][0] if slots[field] else st
        place.error(escape(sentence), icon=":material/error:")


def _dataset(name: str) -> str:
    return DATASETS[name].title


def _backbone(name: str) -> str:
    chosen = BACKBONES[name]
    return f"{chosen.title} · {chosen.parameters('pooled-avg') / 1e6:.1f} M parameters"


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
