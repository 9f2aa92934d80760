"""Calibration of runs: whether they are right as often as they say."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from tl_engine.analysis.calibration import TEMPERATURES, Calibration, in_a_sentence
from ui import frame
from ui.arms import ShownArm, budget_of, show_table
from ui.compare.saved_predictions import calibration_of, finished_pairs
from ui.export import chart
from ui.figures import reliability_diagram
from ui.words import escape, percent

DIAGRAMS = 6
"""So many arms are told and drawn; the table has all."""


@st.fragment
@frame.guarded()
def show_calibration(arms: Sequence[ShownArm]) -> None:
    """A reliability diagram per arm of one pair, and the numbers of every finished run."""
    st.subheader("How sure, and how often right", anchor=False)
    done = [(arm, finished_pairs(arm)) for arm in arms]
    pairs = sorted({pair for _, runs in done for pair in runs})
    if not pairs:
        st.caption("Calibration appears when a run has finished.")
        return
    for arm, runs in [(arm, runs) for arm, runs in done if runs][:DIAGRAMS]:
        st.markdown(
            escape(in_a_sentence(arm.title, [calibration_of(run) for run in runs.values()]), 400)
        )
    pair = pairs[0]
    if len(pairs) > 1:
        pair = st.selectbox(
            "Pair", pairs, format_func=lambda n: f"Pair {n}", key="calibration-pair", width=180
        )
    drawn = [(arm, runs[pair]) for arm, runs in done if pair in runs]
    cells = st.grid(2, min_column_width=380)
    for place, (arm, run) in enumerate(drawn[:DIAGRAMS]):
        with cells.cell():
            bins = calibration_of(run).bins
            look, budget = (arm.title, arm.colour, f"pair {pair}"), budget_of([arm])
            made = reliability_diagram(bins, *look, budget=budget)
            chart(made, bins, f"reliability-{place}", "Share right by confidence")
    if len(drawn) > DIAGRAMS:
        st.caption(f"{len(drawn) - DIAGRAMS} more arms are in the table only.")
    rows = [
        _readable(arm.title, number, calibration_of(run))
        for arm, runs in done
        for number, run in runs.items()
    ]
    show_table(pd.DataFrame(rows).set_index("Arm"))
    st.caption(
        "ECE: how far confidence and share right are apart, 15 bins. If calibrated: between what "
        "95 % of perfectly calibrated models would show with these confidences and this many "
        "images; an ECE in there is nothing. Temperature: what the logits would have to be divided "
        "by to fit; above 1 too sure, below 1 not sure enough; fitted on these images."
    )


def _readable(title: str, pair: int, known: Calibration) -> dict[str, object]:
    low, high = known.null
    return {
        "Arm": title,
        "Pair": pair,
        "Right": percent(known.accuracy),
        "Loss": f"{known.loss:.3f}",
        "Brier": f"{known.brier:.3f}",
        "ECE": percent(known.error),
        "ECE if calibrated": f"{low:.1%} – {high:.1%}",
        "Temperature": _temperature(known.temperature),
    }


def _temperature(value: float) -> str:
    low, high = TEMPERATURES
    if value < 1.01 * low:
        return f"below {low}"
    return f"above {high:.0f}" if value > 0.99 * high else f"{value:.2f}"
