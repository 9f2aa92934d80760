"""The part of Launch's form that makes orders: each a table of phases, top to bottom."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from dataclasses import asdict
from functools import partial
from typing import Any

import streamlit as st

from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.glossary import explain
from tl_engine.catalog.settings import OPTIMIZERS, SCHEDULES
from tl_engine.charts.style import rate
from tl_engine.recipe import MAXIMUM_EPOCHS, Phase
from tl_engine.text import counted
from ui.frame import choose, pick

Slots = defaultdict[str, list[Any]]
"""Per field, the places under its widgets where a refusal is written."""


def new_phase(phase: Phase) -> int:
    """Put a phase's values under widget keys of their own; the phase's number."""
    state = st.session_state
    state["form-phases-made"] = number = state.get("form-phases-made", 0) + 1
    shown = {"learning_rate": rate(phase.learning_rate), "patience": phase.patience or 0}
    for name, value in (asdict(phase) | shown).items():
        state[f"{name}-{number}"] = value
    return number


def ask(slots: Slots) -> list[list[dict[str, Any]]]:
    """Draw the phases of every order; their values."""
    orders = st.session_state["form-orders"]
    labels = [f"Order {number}" for number in range(1, len(orders) + 1)]
    places = st.tabs(labels) if len(orders) > 1 else [st.container()]
    values = []
    for arm, (place, order) in enumerate(zip(places, orders, strict=True)):
        with place:
            values.append(_ask_phases(arm, order, slots))
    return values


def _ask_phases(arm: int, order: list[int], slots: Slots) -> list[dict[str, Any]]:
    """The editable table of one arm's phases, top to bottom in the order of training."""
    values = []
    for position, number in enumerate(order):
        with st.container(border=True):
            value = _ask_phase(position, number)
            for name in (*value, "patience"):
                slots[f"arm{arm}.phases.{position}.{name}"].append(st.empty())
            with st.container(horizontal=True, gap="small"):
                value |= _ask_more(number)
                _phase_buttons(order, position, number)
            values.append(value)
    slots[f"arm{arm}.phases"].append(st.empty())
    st.button(
        "Add a phase",
        icon=":material/add:",
        key=f"add-{arm}",
        on_click=lambda: order.append(new_phase(Phase("head", 1, 1e-3))),
    )
    return values


def _ask_phase(position: int, number: int) -> dict[str, Any]:
    trainable, epochs, learning_rate, optimizer = st.columns([5, 2, 3, 3])
    blocks = len(BACKBONES[st.session_state["form-backbone"]].blocks)
    options = ["head", "all", *range(1, blocks), st.session_state[f"trainable-{number}"]]
    titles = {option: trainable_title(option) for option in options}
    label = f"Phase {position + 1} trains"
    value = {
        "trainable": choose(trainable.selectbox, label, titles, f"trainable-{number}"),
        "epochs": epochs.number_input("Epochs", step=1, min_value=None, key=f"epochs-{number}"),
        "learning_rate": learning_rate.text_input("Learning rate", key=f"learning_rate-{number}"),
        "optimizer": choose(optimizer.selectbox, "Optimizer", OPTIMIZERS, f"optimizer-{number}"),
    }
    with contextlib.suppress(ValueError):  # the recipe says what is right
        value["learning_rate"] = float(value["learning_rate"].replace(",", "."))
    return value


def _ask_more(number: int) -> dict[str, Any]:
    """What few change: how the learning rate falls, and whether the phase may end early."""
    state = st.session_state
    changed = state[f"schedule-{number}"] != "constant" or state[f"patience-{number}"]
    label = "More (changed)" if changed else "More"
    with st.popover(label, icon=":material/tune:", type="tertiary", key=f"more-{number}"):
        schedule = pick("Learning rate", SCHEDULES, f"schedule-{number}")
        patience = st.number_input(
            "End early after epochs without gain",
            min_value=0,
            max_value=MAXIMUM_EPOCHS,
            step=1,
            key=f"patience-{number}",
            help=explain("Early stopping"),
        )
    return {"schedule": schedule, "patience": patience or None}


def _phase_buttons(order: list[int], position: int, number: int) -> None:
    def move(by: int) -> None:
        order.insert(position + by, order.pop(position))

    buttons = (
        ("Up", "arrow_upward", position == 0, partial(move, -1)),
        ("Down", "arrow_downward", position == len(order) - 1, partial(move, 1)),
        ("Remove", "close", False, partial(order.remove, number)),
    )
    for label, icon, disabled, action in buttons:
        st.button(
            label,
            icon=f":material/{icon}:",
            type="tertiary",
            key=f"{label.lower()}-{number}",
            disabled=disabled,
            on_click=action,
        )


def trainable_title(value: str | int) -> str:
    """What a phase trains, in words."""
    titles = {"head": "Head (freeze)", "all": "All (fine-tune)"}
    if isinstance(value, str):
        return titles.get(value, value)
    return f"Head and top {counted(value, 'block')}"
