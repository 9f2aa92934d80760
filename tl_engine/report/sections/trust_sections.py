"""How far runs can be trusted: whether they are right as often as they are confident, and how right
they are on corrupted images, pixels that none of them was shown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tl_engine.analysis.calibration import TEMPERATURES, Calibration, in_a_sentence
from tl_engine.analysis.paired_scores import Robustness, mean_accuracy, mean_difference
from tl_engine.charts.heat_maps import robustness_accuracy, robustness_difference
from tl_engine.charts.image_scores import reliability_diagram
from tl_engine.data.corruptions import SAMPLE
from tl_engine.errors import DamagedError
from tl_engine.report.amounts import percent
from tl_engine.report.arms import Arm, is_planned
from tl_engine.report.saved_predictions import calibration_of
from tl_engine.report.section import Drawing, Section, charted, note
from tl_engine.report.sections.pair_sections import paired_table
from tl_engine.report.shown_results import Results, cost_of
from tl_engine.runs import Evaluation
from tl_engine.runs.evaluations import result_of
from tl_engine.text import plain

MOST_DIAGRAMS = 6
"""So many arms are described and drawn; the table has all."""
Measured = dict[int, Robustness]
"""By the number of the pair."""


def calibrated_pairs(results: Results) -> list[int]:
    """Numbers of the pairs of which any arm has a finished run."""
    return sorted({pair for arm in results.arms for pair in arm.finished})


def confidence(results: Results) -> list[Section]:
    """A sentence per arm: whether it is right as often as it is confident."""
    arms = results.contrast_first[:MOST_DIAGRAMS]
    if not arms:
        return note("confidence", "Calibration appears when a run has finished.")
    words = [
        in_a_sentence(arm.title, list(map(calibration_of, arm.finished.values()))) for arm in arms
    ]
    return [Section(key=f"confidence-{place}", text=text) for place, text in enumerate(words)]


def calibration(results: Results, *, pair: int | None = None) -> list[Section]:
    """A reliability diagram per arm, of the runs of a pair (by default the first), and the numbers
    of every finished run; nothing without one."""
    if not (pairs := calibrated_pairs(results)):
        return []
    done, pair = results.contrast_first, pairs[0] if pair is None else pair
    drawn = [arm for arm in done if pair in arm.finished]
    sections = [_diagram(place, arm, pair) for place, arm in enumerate(drawn[:MOST_DIAGRAMS])]
    if (more := len(drawn) - MOST_DIAGRAMS) > 0:
        sections += note("calibration-more", f"{more} more arms are in the table only.")
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
    arguments = (calibration_of(arm.finished[pair]).bins, arm.title, arm.colour, f"pair {pair}")
    drawing = Drawing(reliability_diagram, arguments, cost_of([arm]))
    return charted(f"reliability-{place}", "Share right by confidence", drawing)


def _readable(title: str, pair: int, measured: Calibration) -> dict[str, object]:
    low, high = measured.null
    coldest, hottest = TEMPERATURES
    temperature = f"{measured.temperature:.2f}"
    if measured.temperature < 1.01 * coldest:
        temperature = f"below {coldest}"
    elif measured.temperature > 0.99 * hottest:
        temperature = f"above {hottest:.0f}"
    return {
        "Arm": title,
        "Pair": pair,
        "Right": percent(measured.accuracy),
        "Loss": f"{measured.loss:.3f}",
        "Brier": f"{measured.brier:.3f}",
        "ECE": percent(measured.error),
        "ECE if calibrated": f"{low:.1%} – {high:.1%}",
        "Temperature": temperature,
    }


def compared(results: Results) -> list[Arm]:
    """The two arms that are compared, else the first."""
    return list(results.contrast or results.arms[:1])


def corrupted(results: Results) -> list[Section]:
    """Accuracy on corrupted images: first minus second, or of each arm that was measured."""
    arms = compared(results)
    measured = [_measured(arm) for arm in arms]
    if not any(measured):
        return note("robustness", "No run was measured on corrupted images yet.")
    if len(arms) == 2 and _comparable(*measured):
        return _difference(arms, measured)
    found = enumerate(zip(arms, measured, strict=True))
    return [_accuracy(place, arm, runs) for place, (arm, runs) in found if runs]


def corruptions(_: Results) -> list[Section]:
    """What is measured, and how."""
    return [
        Section(
            key="corruptions",
            method="Noise, blur, less contrast, more brightness, pixelation and JPEG, five "
            "severities each, with CIFAR-10-C's constants for 32 pixels (a blur's radius grows "
            f"with larger images). Each run is measured on at most {SAMPLE} validation images, a "
            "fixed sample with every class in proportion; both arms see the same pixels. A "
            "diagnostic: it changes no verdict.",
        )
    ]


def _difference(arms: Sequence[Arm], measured: Sequence[Measured]) -> list[Section]:
    first, second = measured
    pairs = sorted(first.keys() & second.keys())
    runs = [[of_arm[pair] for pair in pairs] for of_arm in measured]
    cells, titles = mean_difference(*runs), [arm.title for arm in arms]
    arguments = (cells, len(pairs), runs[0][0].total, *titles)
    names = {"Mean of all corruptions": "mean", "The same images as they are": "clean"}
    all_in = is_planned(arms, len(pairs))
    return [
        charted(
            "robustness",
            f"Accuracy on corrupted images, {plain(titles[0])} minus {plain(titles[1])}",
            Drawing(robustness_difference, arguments, cost_of(arms)),
            numbers=cells.reset_index(),
        ),
        paired_table("robustness-pairs", names, measured, titles, all_in=all_in),
    ]


def _accuracy(place: int, arm: Arm, measured: Measured) -> Section:
    runs = list(measured.values())
    cells = mean_accuracy(runs)
    arguments = (cells, len(runs), runs[0].total, arm.title)
    return charted(
        f"robustness-{place}",
        f"Accuracy on corrupted images, {plain(arm.title)}",
        Drawing(robustness_accuracy, arguments, cost_of([arm])),
        numbers=cells.reset_index(),
    )


def _measured(arm: Arm) -> Measured:
    """What was measured of its runs; a damaged result is none, and is measured again."""
    found = {}
    for run in arm.runs:
        try:
            result = result_of(run, Evaluation.ROBUSTNESS)
        except DamagedError:
            continue
        if result:
            found[run.pair] = Robustness.of(result)
    return found


def _comparable(first: Measured, second: Measured) -> bool:
    """Whether there are pairs, each measured on the same images."""
    pairs = first.keys() & second.keys()
    return bool(pairs) and all(first[pair].sample == second[pair].sample for pair in pairs)
