"""Two arms' accuracy on several sets of images, pair by pair, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isinf

import pandas as pd

from tl_engine.analysis.interval import LEAST_PAIRS
from tl_engine.analysis.paired_scores import PairedScores, paired_scores
from tl_engine.report.amounts import counted, percent, points
from tl_engine.report.section import Section


def paired_table(
    key: str,
    scores: Mapping[str, Sequence[Mapping[int, float]]],
    titles: Sequence[str],
    *,
    all_in: bool,
) -> Section:
    """Means, differences and intervals of two arms.

    Args:
        scores: by what the images are called, the scores of each arm, as shares, by pair.
        titles: of the two arms.
        all_in: as `paired_scores` takes it.
    """
    rows = {name: paired_scores(*two, all_in=all_in) for name, two in scores.items()}
    values = {
        name: [percent(row.first), percent(row.second), points(row.difference), _span(row)]
        for name, row in rows.items()
    }
    columns = [*titles, "Points", "95 %"]
    table = pd.DataFrame.from_dict(values, orient="index", columns=columns)
    pairs = max(row.pairs for row in rows.values())
    how = "paired t interval" if all_in else "an interval that may be looked at at any time"
    enough = f"95 %: {how}, of {pairs} pairs, for these two arms alone."
    few = f"Fewer than {LEAST_PAIRS} pairs are a look, not evidence."
    return Section(
        key=key,
        table=table.rename_axis(counted(pairs, "pair")),
        method=f"Points: {titles[0]} minus {titles[1]}, in percentage points. "
        f"{enough if pairs >= LEAST_PAIRS else few}",
    )


def _span(row: PairedScores) -> str:
    if row.interval is None or isinf(row.interval.low):
        return "–"
    return " to ".join(map(points, row.interval))
