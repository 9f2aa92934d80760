"""Class by class: the accuracy of each arm, and the difference of two with its interval."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.interval import ALPHA, LEAST_PAIRS
from tl_engine.charts.arm_style import ArmKey, add_seeds, arms_in, seeds_of
from tl_engine.charts.style import NEUTRAL, NO_PAIR, NO_RUN, figure, hover, say_empty
from tl_engine.text import counted, markup


def per_class(frame: pd.DataFrame, arms: Sequence[ArmKey] = ()) -> go.Figure:
    """A large dot per arm and class (the mean of its seeds), a small one per seed.

    Args:
        frame: columns study, arm, seed, class, accuracy (0 to 1); classes are drawn from the
            one with the largest difference between arms down, with one arm from the hardest up.
            A class without images (NaN) has a row without dots.
        arms: all arms of the page, in their order, for their colours.
    """
    made = figure(
        "Accuracy per class",
        f"validation split, {seeds_of(frame, 'seed')}",
        height=220 + 26 * max(frame["class"].nunique(), 4),
    )
    made.update_xaxes(title="Share predicted right", tickformat=".0%")
    made.update_yaxes(title="True class")
    if frame.empty:
        return say_empty(made, NO_RUN)
    for arm in arms_in(frame, arms):
        seeds = arm.rows["seed"].nunique()
        if seeds > 1:
            look = {"color": arm.colour, "size": 5, "opacity": 0.45}
            places = arm.rows["accuracy"], arm.rows["class"].map(markup)
            add_seeds(made, arm.rows, *places, arm.name, look, "%{y}: %{x:.1%}")
        means = arm.rows.groupby("class", sort=False)["accuracy"].mean()
        mean = f", mean of {seeds} seeds" if seeds > 1 else ""
        made.add_scatter(
            x=means,
            y=means.index.map(markup),
            mode="markers",
            marker={"color": arm.colour, "size": 12},
            name=arm.name,
            showlegend=True,
            hovertemplate=hover(f"{arm.name}{mean}", "%{y}: %{x:.1%}"),
        )
    return made.update_yaxes(
        type="category",  # or classes called "0" to "9" would become a scale
        categoryorder="array",
        categoryarray=[markup(name) for name in reversed(_order(frame))],
    )


def _order(frame: pd.DataFrame) -> list[str]:
    means = frame.groupby(["class", "study", "arm"], sort=False)["accuracy"].mean()
    arms = means.unstack(["study", "arm"])
    if arms.shape[1] > 1:
        return list((arms.max(axis=1) - arms.min(axis=1)).sort_values(ascending=False).index)
    return list(arms.iloc[:, 0].sort_values().index)


def class_differences(
    frame: pd.DataFrame,
    class_names: Sequence[str],
    first: str,
    second: str,
    colours: tuple[str, str],
) -> go.Figure:
    """A dot per class (`analysis.paired_scores.class_deltas`) in the colour of the arm that
    recognises it more often: filled where the difference holds among all classes (Holm), hollow
    where it does not."""
    drawn = frame[frame["pairs"] > 0].sort_values("difference", kind="stable")
    pairs = int(frame["pairs"].max()) if len(frame) else 0
    intervals = f"no intervals: they take at least {LEAST_PAIRS} pairs"
    if pairs >= LEAST_PAIRS:
        intervals = (
            f"line: 95 % t interval of the class alone<br>filled: holds among "
            f"{drawn['p'].count()} classes (Holm), {(drawn['p_holm'] < ALPHA).sum()} do"
        )
    made = figure(
        f"{markup(first, 28)} minus {markup(second, 28)}",
        f"recall, {counted(pairs, 'pair')}, validation split, last epoch<br>{intervals}",
        height=240 + 26 * max(len(drawn), 4),
        margin_t=115,
    )
    made.update_xaxes(title="Difference of recall (percentage points)", tickformat="+")
    names = [markup(class_names[place], 24) for place in drawn["class"]]
    made.update_yaxes(title="True class", tickvals=list(range(len(drawn))), ticktext=names)
    if drawn.empty:
        return say_empty(made, NO_PAIR)
    made.add_vline(x=0, line={"color": NEUTRAL, "width": 1})
    titles = markup(first), markup(second)
    words = [_words(*row) for row in zip(names, drawn.to_dict("records"), strict=True)]
    drawn = drawn.assign(place=range(len(drawn)), words=pd.Series(words, index=drawn.index))
    for sign, name, colour in (
        (1, f"{titles[0]} more often", colours[0]),
        (-1, f"{titles[1]} more often", colours[1]),
        (0, "equally often", NEUTRAL),
    ):
        rows = drawn[np.sign(drawn["difference"]) == sign]
        if len(rows):
            _add_dots(made, rows, titles, name, colour)
    return made


def _add_dots(
    made: go.Figure, rows: pd.DataFrame, titles: tuple[str, str], name: str, colour: str
) -> None:
    made.add_scatter(
        x=100 * rows["difference"],
        y=rows["place"],
        mode="markers",
        name=name,
        showlegend=True,
        marker={"color": colour, "size": 11, "line": {"width": 2, "color": colour}},
        marker_symbol=np.where(rows["p_holm"] < ALPHA, "circle", "circle-open"),
        error_x={
            "type": "data",
            "array": 100 * (rows["high"] - rows["difference"]),
            "arrayminus": 100 * (rows["difference"] - rows["low"]),
            "thickness": 2,
            "width": 0,
        },
        customdata=list(rows["words"]),
        hovertemplate=hover(
            "%{customdata[0]}: %{x:+.1f} points",
            f"{titles[0]} %{{customdata[1]}}, {titles[1]} %{{customdata[2]}}",
            "%{customdata[3]}",
        ),
    )


def _words(name: str, row: Mapping[Hashable, Any]) -> list[str]:
    recalls = [name, f"{row['first']:.1%}", f"{row['second']:.1%}"]
    if math.isnan(row["p"]):
        return [*recalls, counted(row["pairs"], "pair")]
    interval = f"{100 * row['low']:+.1f} to {100 * row['high']:+.1f} points"
    if math.isnan(row["low"]):
        interval = "no interval: every pair shows the same"
    return [*recalls, f"{interval}, p {row['p']:.2g}, with Holm {row['p_holm']:.2g}"]
