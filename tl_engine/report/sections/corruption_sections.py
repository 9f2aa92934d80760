"""Accuracy on corrupted images: two arms, or one, on pixels that none of them was shown."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from tl_engine.analysis.robustness import Robustness, mean_accuracy, mean_difference
from tl_engine.charts.corruption_heatmap import robustness_accuracy, robustness_difference
from tl_engine.data.corruptions import SAMPLE
from tl_engine.errors import DamagedError
from tl_engine.report.arms import Arm
from tl_engine.report.question import is_planned
from tl_engine.report.section import Section, charted, nothing
from tl_engine.report.sections.paired_table import paired_table
from tl_engine.report.shown_results import Results, cost_of
from tl_engine.runs import Evaluation
from tl_engine.runs.evaluations import result_of
from tl_engine.text import plain

METHOD = (
    "Noise, blur, less contrast, more brightness, pixelation and JPEG, five severities each, with "
    "CIFAR-10-C's constants for 32 pixels (a blur's radius grows with larger images). Each run is "
    f"measured on at most {SAMPLE} validation images, a fixed sample with every class in "
    "proportion; both arms see the same pixels. A diagnostic: it changes no verdict."
)
Measured = dict[int, Robustness]
"""By the number of the pair."""


def compared(results: Results) -> list[Arm]:
    """The two arms that are compared, else the first."""
    return list(results.contrast or results.arms[:1])


def corrupted(results: Results) -> list[Section]:
    """Accuracy on corrupted images: first minus second, or of each arm that was measured."""
    arms = compared(results)
    measured = [_measured(arm) for arm in arms]
    if not any(measured):
        return nothing("robustness", "No run was measured on corrupted images yet.")
    if len(arms) == 2 and _comparable(*measured):
        return _difference(arms, measured)
    found = [(place, arm, runs) for place, arm, runs in zip((0, 1), arms, measured, strict=False)]
    return [_accuracy(place, arm, runs) for place, arm, runs in found if runs]


def how_corrupted(_: Results) -> list[Section]:
    """What is measured, and how."""
    return [Section(key="corruptions", method=METHOD)]


def _difference(arms: Sequence[Arm], measured: Sequence[Measured]) -> list[Section]:
    first, second = measured
    pairs = sorted(first.keys() & second.keys())
    runs = [[of_arm[pair] for pair in pairs] for of_arm in measured]
    cells, titles = mean_difference(*runs), [arm.title for arm in arms]
    scores = {
        "Mean of all corruptions": [_scores(of_arm, "mean") for of_arm in measured],
        "The same images as they are": [_scores(of_arm, "clean") for of_arm in measured],
    }
    return [
        charted(
            "robustness",
            f"Accuracy on corrupted images, {plain(titles[0])} minus {plain(titles[1])}",
            robustness_difference,
            cells,
            len(pairs),
            runs[0][0].total,
            *titles,
            cost=cost_of(arms),
            numbers=_table(cells),
        ),
        paired_table("robustness-pairs", scores, titles, all_in=is_planned(arms, len(pairs))),
    ]


def _accuracy(place: int, arm: Arm, measured: Measured) -> Section:
    runs = list(measured.values())
    cells = mean_accuracy(runs)
    return charted(
        f"robustness-{place}",
        f"Accuracy on corrupted images, {plain(arm.title)}",
        robustness_accuracy,
        cells,
        len(runs),
        runs[0].total,
        arm.title,
        cost=cost_of([arm]),
        numbers=_table(cells),
    )


def _table(cells: pd.DataFrame) -> pd.DataFrame:
    """A column per severity."""
    return cells.rename_axis("corruption").reset_index()


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


def _scores(measured: Measured, name: str) -> dict[int, float]:
    return {pair: getattr(one, name) for pair, one in measured.items()}
