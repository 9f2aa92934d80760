"""Calibration: whether runs are right as often as they are confident."""

from __future__ import annotations

import pandas as pd

from tl_engine.analysis.calibration import TEMPERATURES, Calibration, in_a_sentence
from tl_engine.charts.image_scores import reliability_diagram
from tl_engine.report.amounts import percent
from tl_engine.report.arms import Arm
from tl_engine.report.saved_predictions import calibration_of
from tl_engine.report.section import Section, charted, nothing
from tl_engine.report.shown_results import Results, cost_of

MOST_DIAGRAMS = 6
"""So many arms are described and drawn; the table has all."""


def calibrated_pairs(results: Results) -> list[int]:
    """Numbers of the pairs of which any arm has a finished run."""
    return sorted({pair for arm in results.arms for pair in arm.finished})


def confidence(results: Results) -> list[Section]:
    """A sentence per arm: whether it is right as often as it is confident."""
    done = [arm for arm in results.contrast_first if arm.finished]
    if not done:
        return nothing("confidence", "Calibration appears when a run has finished.")
    words = [
        in_a_sentence(arm.title, [calibration_of(run) for run in arm.finished.values()])
        for arm in done[:MOST_DIAGRAMS]
    ]
    return [Section(key=f"confidence-{place}", text=text) for place, text in enumerate(words)]


def calibration(results: Results, *, pair: int | None = None) -> list[Section]:
    """A reliability diagram per arm, and the numbers of every finished run; nothing without one.

    Args:
        pair: whose runs are drawn; by default the first.
    """
    if not (pairs := calibrated_pairs(results)):
        return []
    done = [arm for arm in results.contrast_first if arm.finished]
    pair = pairs[0] if pair is None else pair
    drawn = [arm for arm in done if pair in arm.finished]
    sections = [_diagram(place, arm, pair) for place, arm in enumerate(drawn[:MOST_DIAGRAMS])]
    if (more := len(drawn) - MOST_DIAGRAMS) > 0:
        sections += nothing("calibration-more", f"{more} more arms are in the table only.")
    rows = [
        _readable(arm.title, number, calibration_of(run))
        for arm in done
        for number, run in arm.finished.items()
    ]
    table = Section(
        key="calibration",
        table=pd.DataFrame(rows).set_index("Arm"),
        method="ECE: how far confidence and share right are apart, 15 bins. If calibrated: between "
        "what 95 % of perfectly calibrated models would show with these confidences and this many "
        "images; an ECE in there is nothing. Temperature: what the logits would have to be divided "
        "by to fit; above 1 too sure, below 1 not sure enough; fitted on these images.",
    )
    return [*sections, table]


def _diagram(place: int, arm: Arm, pair: int) -> Section:
    return charted(
        f"reliability-{place}",
        "Share right by confidence",
        reliability_diagram,
        calibration_of(arm.finished[pair]).bins,
        arm.title,
        arm.colour,
        f"pair {pair}",
        cost=cost_of([arm]),
    )


def _readable(title: str, pair: int, measured: Calibration) -> dict[str, object]:
    low, high = measured.null
    return {
        "Arm": title,
        "Pair": pair,
        "Right": percent(measured.accuracy),
        "Loss": f"{measured.loss:.3f}",
        "Brier": f"{measured.brier:.3f}",
        "ECE": percent(measured.error),
        "ECE if calibrated": f"{low:.1%} – {high:.1%}",
        "Temperature": _temperature(measured.temperature),
    }


def _temperature(value: float) -> str:
    low, high = TEMPERATURES
    if value < 1.01 * low:
        return f"below {low}"
    return f"above {high:.0f}" if value > 0.99 * high else f"{value:.2f}"
