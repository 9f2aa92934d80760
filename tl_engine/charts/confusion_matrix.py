"""Confusion matrices: one, and the difference of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from tl_engine.analysis.predictions import difference_in_points, row_shares
from tl_engine.charts.colours import ARMS, SEQUENTIAL, diverging
from tl_engine.charts.style import figure, hover, say_empty
from tl_engine.text import markup

WRITTEN_CLASSES = 12
"""Cells carry their numbers up to so many classes."""


def confusion_matrix(
    counts: np.ndarray, class_names: Sequence[str], title: str, seeds: int = 1
) -> go.Figure:
    """Which class is taken for which: shades are shares of the true class, numbers are predictions.

    Args:
        seeds: how many runs the counts are the sum of.
    """
    of_seeds = f" of {seeds} seeds" if seeds > 1 else ""
    once = "<br>each image is counted once per seed" if seeds > 1 else ""
    made = _matrix(
        markup(title),
        f"{int(counts.sum()):,} predictions{of_seeds}, validation split{once}",
        100 * row_shares(counts),
        class_names,
        [[str(count) if count else "" for count in row] for row in counts],
        "<br>%{customdata[1]:,} predictions, %{z:.1f} % of the true class",
        counts,
    )
    made.update_traces(colorscale=SEQUENTIAL, zmin=0, zmax=100, showscale=False)
    return made


def confusion_difference(
    counts_a: np.ndarray,
    counts_b: np.ndarray,
    class_names: Sequence[str],
    name_a: str,
    name_b: str,
    colours: tuple[str, str] = (ARMS[0], ARMS[1]),
) -> go.Figure:
    """A minus B, in percentage points of the true class, so that different totals compare.

    Args:
        colours: those of A and B, as hex.
    """
    points = difference_in_points(counts_a, counts_b)
    limit = max(1.0, float(np.nan_to_num(np.abs(points)).max(initial=0.0)))
    made = _matrix(
        "The difference of the two",
        f"{_mark(colours[0])} {markup(name_a)} says this more often<br>"
        f"{_mark(colours[1])} {markup(name_b)} does<br>"
        f"{int(counts_a.sum()):,} and {int(counts_b.sum()):,} predictions, validation split<br>"
        "percentage points of the true class",
        points,
        class_names,
        [[f"{value:+.1f}" if abs(value) >= 0.05 else "" for value in row] for row in points],
        ": %{z:+.1f} percentage points",
        points,
    )
    made.update_traces(
        colorscale=diverging(*colours),
        zmin=-limit,
        zmax=limit,
        colorbar={"title": "points", "thickness": 12},
    )
    return made


def _mark(colour: str) -> str:
    return f'<span style="color:{colour}">■</span>'


def _matrix(
    title: str,
    subtitle: str,
    values: np.ndarray,
    class_names: Sequence[str],
    text: list[list[str]],
    words: str,
    numbers: np.ndarray,
) -> go.Figure:
    """A heat map of values (classes, classes), NaN left out.

    Args:
        words: what stands above a cell after "A taken for B"; customdata[1] is its number.
    """
    made = figure(title, subtitle, height=550, margin_t=130)
    names = [markup(name, 24) for name in class_names]
    # Numbers, not names, are the places: names may be numbers themselves, or alike when cut.
    places = list(range(len(names)))
    made.update_xaxes(
        title="Predicted class", tickvals=places, ticktext=names, tickangle=-45, showgrid=False
    )
    made.update_yaxes(
        title="True class", tickvals=places, ticktext=names, autorange="reversed", showgrid=False
    )
    if not np.isfinite(values).any():
        return say_empty(made, "It is drawn when there are predictions of both kinds.")
    is_written = len(names) <= WRITTEN_CLASSES
    made.add_heatmap(
        z=values,
        x=places,
        y=places,
        customdata=np.dstack([_sentences(names), numbers.astype(object)]),
        text=text if is_written else None,
        texttemplate="%{text}" if is_written else None,
        hovertemplate=hover(f"%{{customdata[0]}}{words}"),
        xgap=1,
        ygap=1,
    )
    return made


def _sentences(names: list[str]) -> np.ndarray:
    """What happened in each cell, in words."""
    words = [
        [
            f"{true} recognised" if i == j else f"{true} taken for {predicted}"
            for j, predicted in enumerate(names)
        ]
        for i, true in enumerate(names)
    ]
    return np.array(words, dtype=object)
