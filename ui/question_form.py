"""The part of Launch's form that fixes the question before the first run."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import streamlit as st

from tl_engine.analysis.contrast import ORDER, factors_of
from tl_engine.analysis.verdict import LEAST_PAIRS, detectable, pairs_needed
from tl_engine.metric import METRICS, Metric
from tl_engine.runs.pilot import pilot_of
from tl_engine.study import Arm, Prediction, Study
from ui.engine import store
from ui.phases_form import Slots
from ui.text import escape, plain

NOBODY = "Nothing in particular"


def fill(study: Study) -> None:
    """Put a study's question into the form."""
    state, metric = st.session_state, METRICS[study.metric]
    state["form-pairs"] = study.pairs
    state["form-metric"] = metric.name
    for known in METRICS.values():
        smallest = study.smallest_difference if known is metric else known.smallest
        state[f"form-smallest-{known.name}"] = smallest * known.scale
    expected = study.prediction
    state["form-expected"] = expected.arm if expected else NOBODY
    state["form-expected-by"] = (expected.by if expected else metric.smallest) * metric.scale


def ask(arms: Sequence[Arm], slots: Slots) -> dict[str, Any]:
    """Draw the question; what a Study takes of it.

    Args:
        arms: those that the rest of the form describes; none while something in it is refused.
    """
    with st.container(border=True):
        st.markdown("**The question**, fixed before the first run")
        columns = st.grid(5 if len(arms) > 1 else 3, min_column_width=170)
        with columns.cell():
            pairs = st.number_input(
                "Paired seeds",
                key="form-pairs",
                step=1,
                min_value=None,
                help="Every arm is trained once per seed. Up to 3 are a look; 10 can carry a "
                "conclusion.",
            )
            slots["pairs"].append(st.empty())
        with columns.cell():
            name = st.selectbox(
                "Decided by",
                list(METRICS),
                format_func=lambda name: METRICS[name].title,
                key="form-metric",
                help="On the validation split, after the last epoch.",
            )
        metric = METRICS[name]
        with columns.cell():
            smallest = st.number_input(
                f"What matters ({metric.unit})",
                key=f"form-smallest-{name}",
                step=0.1 * metric.scale * metric.smallest,
                min_value=None,
                format="%.4g",
                help="The smallest difference that would make you choose one arm over another.",
            )
            slots["smallest_difference"].append(st.empty())
        prediction = _ask_prediction(arms, metric, columns, slots) if len(arms) > 1 else None
        if len(arms) > 1:
            st.caption(_foresight(arms, metric, smallest, pairs))
    return {
        "pairs": pairs,
        "metric": name,
        "smallest_difference": smallest / metric.scale if smallest else smallest,
        "prediction": prediction,
    }


def _ask_prediction(
    arms: Sequence[Arm], metric: Metric, columns: Any, slots: Slots
) -> Prediction | None:
    names = [arm.name for arm in arms]
    if st.session_state["form-expected"] not in names:
        st.session_state["form-expected"] = NOBODY
    with columns.cell():
        arm = st.selectbox(
            "I expect ahead",
            [NOBODY, *names],
            format_func=lambda name: plain(name, 60),
            key="form-expected",
            help="Said beforehand, it stands beside the verdict.",
        )
    with columns.cell():
        by = st.number_input(
            f"By ({metric.unit})",
            key="form-expected-by",
            step=0.1 * metric.scale * metric.smallest,
            min_value=None,
            format="%.4g",
            disabled=arm == NOBODY,
        )
        slots["prediction"].append(st.empty())
    return None if arm == NOBODY else Prediction(arm, by / metric.scale if by else by)


def _contrast(arms: Sequence[Arm]) -> tuple[Arm, Arm]:
    """The first two that differ in their order alone; where there are none, the first two."""
    pairs = list(combinations(arms, 2))
    alone = (pair for pair in pairs if factors_of(*(arm.recipe for arm in pair)) == (ORDER,))
    return next(alone, pairs[0])


def _foresight(arms: Sequence[Arm], metric: Metric, smallest: Any, pairs: Any) -> str:
    """What so many pairs can find, from what an earlier study of these arms tells."""
    if not isinstance(pairs, int) or pairs < LEAST_PAIRS:
        return f"Fewer than {LEAST_PAIRS} pairs are a look: no verdict will be given."
    first, second = _contrast(arms)
    pilot = pilot_of(store(), first.recipe, second.recipe, metric)
    if pilot is None:
        return (
            "What these pairs can find is not known yet: no earlier study has 3 pairs or more of "
            f"{escape(first.name)} and {escape(second.name)}. Three pairs first would tell."
        )
    known = (
        f"the spread of {pilot.pairs} pairs in \u201c{escape(pilot.title)}\u201d, "
        f"{metric.amount(pilot.spread)}"
    )
    if pilot.spread == 0:
        return f"In \u201c{escape(pilot.title)}\u201d all {pilot.pairs} pairs differ by the same."
    found = metric.amount(detectable(pilot.spread, pairs))
    words = f"{pairs} pairs find a difference of {found} four times in five, by {known}"
    if not isinstance(smallest, int | float) or smallest <= 0:
        return f"{words}."
    needed = pairs_needed(smallest / metric.scale / pilot.spread)
    return f"{words}; {metric.amount(smallest / metric.scale)} would take {needed:,} pairs."
