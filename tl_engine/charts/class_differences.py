"""Class by class, the difference of two arms with its interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS
from tl_engine.charts.colours import NEUTRAL
from tl_engine.charts.style import NO_PAIR, figure, hover, say_empty
from tl_engine.text import counted, markup


def class_differences(
    frame: pd.DataFrame,
    class_names: Sequence[str],
    first: str,
    second: str,
    colours: tuple[str, str],
) -> go.Figure:
    """A dot per class in the colour of the arm that recognises it more often: filled where the
    difference holds among all classes (Holm), hollow where it does not.

    Args:
        frame: as analysis.paired_scores.class_deltas gives it.
        colours: those of the two arms.
    """
    drawn = frame[frame["pairs"] > 0].sort_values("difference", kind="stable")
    pairs = int(frame["pairs"].max()) if len(frame) else 0
    made = figure(
        f"{markup(first, 28)} minus {markup(second, 28)}",
        f"recall, {counted(pairs, 'pair')}, validation split, last epoch<br>"
        + _intervals(drawn, pairs),
        height=240 + 26 * max(len(drawn), 4),
        margin_t=115,
    )
    made.update_xaxes(title="Difference of recall (percentage points)", tickformat="+")
    names = [markup(class_names[place], 24) for place in drawn["class"]]
    made.update_yaxes(title="True class", tickvals=list(range(len(drawn))), ticktext=names)
    if drawn.empty:
        return say_empty(made, NO_PAIR)
    made.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    titles = (markup(first), markup(second))
    ahead = np.sign(drawn["difference"]).to_numpy()
    for sign, name, colour in (
        (1, f"{titles[0]} more often", colours[0]),
        (-1, f"{titles[1]} more often", colours[1]),
        (0, "equally often", NEUTRAL),
    ):
        places = np.flatnonzero(ahead == sign)
        if len(places):
            _add_dots(made, drawn.iloc[places], places, names, titles, name, colour)
    return made


def _intervals(drawn: pd.DataFrame, pairs: int) -> str:
    if pairs < LEAST_PAIRS:
        return f"no intervals: they take at least {LEAST_PAIRS} pairs"
    return (
        f"line: 95 % t interval of the class alone<br>filled: holds among "
        f"{drawn['p'].count()} classes (Holm), {(drawn['p_holm'] < ALPHA).sum()} do"
    )


def _add_dots(
    made: go.Figure,
    rows: pd.DataFrame,
    places: np.ndarray,
    names: Sequence[str],
    titles: tuple[str, str],
    name: str,
    colour: str,
) -> None:
    records = zip(places, rows.to_dict("records"), strict=True)
    made.add_scatter(
        x=100 * rows["difference"],
        y=places,
        mode="markers",
        name=name,
        showlegend=True,
        marker={
            "color": colour,
            "size": 11,
            "symbol": np.where(rows["p_holm"] < ALPHA, "circle", "circle-open"),
            "line": {"width": 2, "color": colour},
        },
        error_x={
            "type": "data",
            "array": 100 * (rows["high"] - rows["difference"]),
            "arrayminus": 100 * (rows["difference"] - rows["low"]),
            "thickness": 2,
            "width": 0,
        },
        customdata=[[names[place], *_words(row)] for place, row in records],
        hovertemplate=hover(
            "%{customdata[0]}: %{x:+.1f} points",
            f"{titles[0]} %{{customdata[1]}}, {titles[1]} %{{customdata[2]}}",
            "%{customdata[3]}",
        ),
    )


def _words(row: Mapping[Hashable, Any]) -> list[str]:
    recalls = [f"{row['first']:.1%}", f"{row['second']:.1%}"]
    if math.isnan(row["p"]):
        return [*recalls, counted(row["pairs"], "pair")]
    interval = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f} points"
    if math.isnan(row["low"]):
        interval = "no interval: every pair shows the same"
    return [*recalls, f"{interval}, p {row['p']:.2g}, with Holm {row['p_holm']:.2g}"]
