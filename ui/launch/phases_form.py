"""The part of Launch's form that makes orders: each a table of phases, top to bottom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import streamlit as st

from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.settings import OPTIMIZERS, SCHEDULES, explain
from tl_engine.recipe import MAXIMUM_EPOCHS, Phase

Slots = defaultdict[str, list[Any]]
"""Per field, the places under its widgets where a refusal is written."""


def new_phase(phase: Phase) -> int:
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


def ask(slots: Slots) -> list[list[dict[str, Any]]]:
    """Draw the phases of every order; their values."""
    orders = st.session_state["form-orders"]
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
        on_click=lambda: order.append(new_phase(Phase("head", 1, 1e-3))),
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
            list(OPTIMIZERS),
            format_func=OPTIMIZERS.__getitem__,
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
            list(SCHEDULES),
            format_func=SCHEDULES.__getitem__,
            key=f"schedule-{number}",
            required=True,
        )
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


def _number(text: str) -> float | str:
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def trainable_title(value: str | int) -> str:
    """What a phase trains, in words."""
    titles = {"head": "Head (freeze)", "all": "All (fine-tune)"}
    if isinstance(value, str):
        return titles.get(value, value)
    return f"Head and top {value} block" + ("s" if value > 1 else "")
