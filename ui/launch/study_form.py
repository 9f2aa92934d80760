"""The form that makes a Study: every choice of a recipe, with what is refused beside its field."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import Any

import streamlit as st

from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.presets import Preset
from tl_engine.catalog.settings import Choice, Switch, Whole
from tl_engine.data.registry import checked, dataset, names
from tl_engine.data.sources import available
from tl_engine.errors import Problem, RecipeError
from tl_engine.machine import recommended_settings
from tl_engine.recipe import SETTINGS, Phase, Recipe
from tl_engine.study import MAXIMUM_NAME, Study, name_arms, with_reversed
from tl_engine.text import escape
from ui.frame import choose, pick
from ui.launch import phases_form, question_form
from ui.launch.phases_form import Slots

VARIED = {name: one for name, one in SETTINGS.items() if isinstance(one, Choice) and one.is_varied}
"""Settings of which several values can be compared."""
GROUPS = tuple(dict.fromkeys(one.group for one in SETTINGS.values() if one.group))


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
    for field, sentence in dict.fromkeys(problems):  # beside its field, or else at the end
        place = slots[field][0] if slots[field] else st
        place.error(escape(sentence), icon=":material/error:")
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
        for name, setting in VARIED.items():
            titles, key = dict(setting.values), f"form-varied-{name}"
            chosen = titles.pop(state[f"form-{name}"])
            state[key] = [value for value in state[key] if value in titles]
            label = f"{name.replace('_', ' ').capitalize()}: besides {chosen.lower()}"
            text = "Every order is trained with each of them: a grid."
            choose(st.multiselect, label, titles, key, help=text)


def _ask_settings(slots: Slots) -> dict[str, Any]:
    st.text_input("Title", key="form-title", max_chars=MAXIMUM_NAME)
    slots["title"].append(st.empty())
    values: dict[str, Any] = {}
    _ask_rows(values, slots)
    if values["augmentation"]:
        st.session_state["form-xla"] = False
    _ask_groups(values, slots)
    _say_what_is_fetched(values)
    return values


def _ask_rows(values: dict[str, Any], slots: Slots) -> None:
    """Ask for the settings of no group, side by side where they share a row."""
    rows: defaultdict[int, list[str]] = defaultdict(list)
    for name in _names_of(""):
        rows[SETTINGS[name].row].append(name)
    for _, row in sorted(rows.items()):
        for name, column in zip(row, st.columns(len(row)), strict=True):
            with column:
                _ask_setting(name, values, slots)


def _ask_groups(values: dict[str, Any], slots: Slots) -> None:
    """Ask for the settings of each group, folded away."""
    proposed = recommended_settings(augmentation=values["augmentation"])
    changed = any(st.session_state[f"form-{name}"] != proposed[name] for name in proposed)
    for group in GROUPS:
        with st.expander(f"{group} (changed)" if changed else group, icon=":material/memory:"):
            for name in _names_of(group):
                disabled = name == "xla" and values["augmentation"]
                _ask_setting(name, values, slots, disabled=disabled)


def _names_of(group: str) -> list[str]:
    return [name for name, one in SETTINGS.items() if one.group == group]


def _ask_setting(name: str, values: dict[str, Any], slots: Slots, **options: Any) -> None:
    if name == "train_images":
        data = dataset(values["dataset"])
        count = f"{escape(data.title)} has {data.default_train:,}"
        options["help"] = f"{count}; fewer are drawn evenly per class."
    values[name] = _widget(name, **options)
    slots[name].append(st.empty())


def _widget(name: str, **options: Any) -> Any:
    """The widget of a setting, which follows from its description; its value."""
    one = SETTINGS[name]
    common: dict[str, Any] = {"label": one.title, "key": f"form-{name}", "help": one.help or None}
    options = common | options
    if isinstance(one, Switch):
        return st.toggle(**options)
    if isinstance(one, Whole):
        return st.number_input(step=one.step, min_value=None, **options)
    titles = one.values if isinstance(one, Choice) else CATALOGS[name]()
    if isinstance(one, Choice) and one.side_by_side:
        return pick(titles=titles, **options)
    return choose(st.selectbox, titles=titles, **options)


def _say_what_is_fetched(values: Mapping[str, Any]) -> None:
    data, chosen = dataset(values["dataset"]), BACKBONES[values["backbone"]]
    if not available(data.name):
        st.caption(f"{escape(data.title)} is downloaded when first used: {escape(data.source)}")
    if values["pretrained"] and chosen.pretrained and not chosen.offline:
        st.caption(f"The weights of {escape(chosen.title)} are downloaded when first used.")


def _compose(
    values: dict[str, Any], orders: list[list[dict[str, Any]]]
) -> tuple[list[Recipe], list[Problem]]:
    """The recipes that the form describes, or every problem of every arm."""
    state, recipes, problems = st.session_state, [], []
    if values["train_images"] == dataset(values["dataset"]).default_train:
        values = {**values, "train_images": None}
    choices = [[values[name], *state[f"form-varied-{name}"]] for name in VARIED]
    for chosen in product(*choices):
        settings = {**values, **dict(zip(VARIED, chosen, strict=True))}
        for arm, order in enumerate(orders):
            try:
                phases = tuple(Phase(**phase) for phase in order)
                recipes.append(checked(Recipe(phases, **settings)))
            except RecipeError as error:
                problems += [
                    Problem(f"arm{arm}.{field}" if field.startswith("phases") else field, sentence)
                    for field, sentence in error.problems
                ]
    if problems:
        return [], problems
    return list(with_reversed(recipes)) if state["form-reverse"] else recipes, []


CATALOGS: dict[str, Callable[[], dict[str, str]]] = {
    "backbone": lambda: {
        one.name: f"{one.title} · {one.parameters('pooled-avg') / 1e6:.1f} M parameters"
        for one in BACKBONES.values()
    },
    "dataset": lambda: {name: dataset(name).title for name in names()},
}
"""For each setting that names an entry of a catalog, the titles of all entries by name."""
