"""The part of Launch's form that fixes the question before the first run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import streamlit as st

from tl_engine.analysis.contrast import ORDER, factors_of
from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS
from tl_engine.analysis.power import detectable, pairs_needed
from tl_engine.analysis.rule import END
from tl_engine.catalog.settings import explain
from tl_engine.metric import METRICS, Metric
from tl_engine.runs.pilot import PILOT_PAIRS, pilot_of
from tl_engine.study import Arm, Expectation, Study
from tl_engine.text import escape, plain
from ui.frame import store
from ui.launch.phases_form import Slots

NOBODY = "Nothing in particular"
KEPT = "form-question"
"""Where the values are that widgets which are not drawn would lose."""


def fill(study: Study) -> None:
    """Put a study's question into the form."""
    metric, expected = METRICS[study.metric], study.expectation
    values: dict[str, Any] = {"pairs": study.pairs, "metric": metric.name}
    for each in METRICS.values():
        is_decisive = each is metric
        smallest = study.smallest_difference if is_decisive else each.smallest
        by = expected.by if expected and is_decisive else each.smallest
        values[f"smallest-{each.name}"] = smallest * each.scale
        values[f"by-{each.name}"] = by * each.scale
    values["arm"] = expected.arm if expected else NOBODY
    st.session_state[KEPT] = values
    for name, value in values.items():
        st.session_state[f"form-{name}"] = value


def ask(arms: Sequence[Arm], slots: Slots) -> dict[str, Any]:
    """Draw the question; what a Study takes of it. There are no arms while something in the rest of
    the form is refused."""
    with st.container(border=True):
        st.markdown("**The question**, fixed before the first run")
        columns = st.grid(5 if len(arms) > 1 else 3, min_column_width=170)
        with columns.cell():
            pairs = _field(
                st.number_input,
                "pairs",
                "Paired seeds",
                step=1,
                min_value=None,
                help=explain("Paired seeds"),
            )
            slots["pairs"].append(st.empty())
        with columns.cell():
            name = _field(
                st.selectbox,
                "metric",
                "Decided by",
                options=list(METRICS),
                format_func=lambda name: METRICS[name].title,
                help="On the validation split, after the last epoch.",
            )
        metric = METRICS[name]
        with columns.cell():
            smallest = _field(
                st.number_input,
                f"smallest-{name}",
                f"What matters ({metric.unit})",
                step=0.1 * metric.scale * metric.smallest,
                min_value=None,
                format="%.4g",
                help=explain("Smallest difference that matters"),
            )
            slots["smallest_difference"].append(st.empty())
        expectation = _ask_expectation(arms, metric, columns, slots) if len(arms) > 1 else None
        if len(arms) > 1:
            st.caption(_foresight(arms, metric, smallest, pairs))
    return {
        "pairs": pairs,
        "metric": name,
        "smallest_difference": smallest / metric.scale if smallest else smallest,
        "expectation": expectation,
    }


def _field(widget: Callable[..., Any], name: str, label: str, **options: Any) -> Any:
    """A widget whose value outlives a run of the page in which it is not drawn, where Streamlit
    forgets its key."""
    key = f"form-{name}"
    st.session_state.setdefault(key, st.session_state[KEPT][name])
    value = widget(label, key=key, **options)
    st.session_state[KEPT][name] = value
    return value


def _ask_expectation(
    arms: Sequence[Arm], metric: Metric, columns: Any, slots: Slots
) -> Expectation | None:
    names = [arm.name for arm in arms]
    for state, key in ((st.session_state[KEPT], "arm"), (st.session_state, "form-arm")):
        if state.get(key, NOBODY) not in names:
            state[key] = NOBODY
    with columns.cell():
        arm = _field(
            st.selectbox,
            "arm",
            "I expect ahead",
            options=[NOBODY, *names],
            format_func=lambda name: plain(name, 60),
            help="Said beforehand, it stands beside the verdict.",
        )
    with columns.cell():
        by = _field(
            st.number_input,
            f"by-{metric.name}",
            f"By ({metric.unit})",
            step=0.1 * metric.scale * metric.smallest,
            min_value=None,
            format="%.4g",
            disabled=arm == NOBODY,
        )
        slots["expectation"].append(st.empty())
    return None if arm == NOBODY else Expectation(arm, by / metric.scale if by else by)


def _contrasts(arms: Sequence[Arm]) -> tuple[tuple[Arm, Arm], int]:
    """The first two arms that differ in their order alone, else the first two; and how many
    verdicts the study will ask for: of arms that differ in one factor."""
    pairs = list(combinations(arms, 2))
    factors = [factors_of(first.recipe, second.recipe) for first, second in pairs]
    place = factors.index((ORDER,)) if (ORDER,) in factors else 0
    return pairs[place], max(sum(len(one) <= 1 for one in factors), 1)


def _foresight(arms: Sequence[Arm], metric: Metric, smallest: Any, pairs: Any) -> str:
    """What so many pairs can find, from what an earlier study of these arms tells."""
    if not isinstance(pairs, int) or pairs < LEAST_PAIRS:
        return f"Fewer than {LEAST_PAIRS} pairs are a look: no verdict will be given."
    (first, second), contrasts = _contrasts(arms)
    pilot = pilot_of(store(), first.recipe, second.recipe, metric)
    if pilot is None:
        return (
            "What these pairs can find is not known yet: no earlier study has "
            f"{PILOT_PAIRS} pairs or more of {escape(first.name)} and {escape(second.name)}. "
            f"{PILOT_PAIRS} pairs first would tell."
        )
    spread = (
        f"the spread of {pilot.pairs} pairs in \u201c{escape(pilot.title)}\u201d, "
        f"{metric.about(pilot.spread)}"
    )
    if pilot.spread == 0:
        return f"In \u201c{escape(pilot.title)}\u201d all {pilot.pairs} pairs differ by the same."
    alpha = END * ALPHA / contrasts
    found = metric.about(detectable(pilot.spread, pairs, alpha))
    words = (
        f"{pairs} pairs find a difference of {found} between {escape(first.name)} and "
        f"{escape(second.name)} four times in five, by {spread}"
    )
    if isinstance(smallest, int | float) and smallest > 0:
        needed = pairs_needed(smallest / metric.scale / pilot.spread, alpha=alpha)
        words += f"; {metric.amount(smallest / metric.scale)} would take {needed:,} pairs"
    many = f" as if it were the first of {contrasts} contrasts (Holm), which is the hardest"
    return f"{words}{',' + many if contrasts > 1 else ''}."
