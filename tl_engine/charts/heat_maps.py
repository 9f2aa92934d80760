"""Heat maps, each of one arm or of the difference of two: which class is taken for which, and
accuracy on corrupted images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.predictions import difference_in_points, row_shares
from tl_engine.charts.heatmap_cells import PERCENT, of_difference
from tl_engine.charts.style import ARMS, figure, hover, say_empty
from tl_engine.data.corruptions import CORRUPTIONS
from tl_engine.text import counted, markup

WRITTEN_CLASSES = 12
"""Cells carry their numbers up to so many classes."""


def confusion_matrix(
    counts: np.ndarray, class_names: Sequence[str], title: str, seeds: int = 1
) -> go.Figure:
    """Which class is taken for which: shades are shares of the true class, numbers are predictions,
    summed over so many seeds."""
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
    return made.update_traces(PERCENT)


def confusion_difference(
    counts_a: np.ndarray,
    counts_b: np.ndarray,
    class_names: Sequence[str],
    name_a: str,
    name_b: str,
    colours: tuple[str, str] = (ARMS[0], ARMS[1]),
) -> go.Figure:
    """A minus B, in percentage points of the true class, so that different totals compare; in their
    colours (hex)."""
    points = difference_in_points(counts_a, counts_b)
    mark_a, mark_b = (f'<span style="color:{colour}">■</span>' for colour in colours)
    made = _matrix(
        "The difference of the two",
        f"{mark_a} {markup(name_a)} says this more often<br>{mark_b} {markup(name_b)} does<br>"
        f"{int(counts_a.sum()):,} and {int(counts_b.sum()):,} predictions, validation split<br>"
        "percentage points of the true class",
        points,
        class_names,
        [[f"{value:+.1f}" if abs(value) >= 0.05 else "" for value in row] for row in points],
        ": %{z:+.1f} percentage points",
        points,
    )
    limit = max(1.0, float(np.nan_to_num(np.abs(points)).max(initial=0.0)))
    return made.update_traces(of_difference(*colours, limit))


def _matrix(
    title: str,
    subtitle: str,
    values: np.ndarray,
    class_names: Sequence[str],
    text: list[list[str]],
    words: str,
    numbers: np.ndarray,
) -> go.Figure:
    """A heat map of values (classes, classes), NaN left out; above a cell stand "A taken for B" and
    the words, for which customdata[1] is its number."""
    made = figure(title, subtitle, height=550, margin_t=130)
    names = [markup(name, 24) for name in class_names]
    # Numbers, not names, are the places: names may be numbers themselves, or alike when cut.
    places = list(range(len(names)))
    axis = {"tickvals": places, "ticktext": names, "showgrid": False}
    made.update_xaxes(axis, title="Predicted class", tickangle=-45)
    made.update_yaxes(axis, title="True class", autorange="reversed")
    if not np.isfinite(values).any():
        return say_empty(made, "It is drawn when there are predictions of both kinds.")
    mistakes = [[f"{true} taken for {predicted}" for predicted in names] for true in names]
    happened = np.array(mistakes, object)
    np.fill_diagonal(happened, [f"{name} recognised" for name in names])
    is_written = len(names) <= WRITTEN_CLASSES
    return made.add_heatmap(
        z=values,
        x=places,
        y=places,
        customdata=np.dstack([happened, numbers.astype(object)]),
        text=text if is_written else None,
        texttemplate="%{text}" if is_written else None,
        hovertemplate=hover(f"%{{customdata[0]}}{words}"),
        xgap=1,
        ygap=1,
    )


def robustness_difference(
    cells: pd.DataFrame, pairs: int, images: int, name_a: str, name_b: str
) -> go.Figure:
    """A minus B on corrupted images, in percentage points: `paired_scores.mean_difference` of so
    many pairs, each run measured on so many images; empty for none."""
    a, b = markup(name_a, 28), markup(name_b, 28)
    made = _corruptions(
        f"{a} minus {b}",
        f"violet: {a} is right more often<br>green: {b} is<br>accuracy on corrupted validation "
        f"images, last epoch<br>mean of {counted(pairs, 'pair')}, {images:,} images, "
        "percentage points",
        100 * cells,
        "%{z:+.1f} points",
        "%{z:+.1f}",
    )
    # At least two percentage points on either side: less is no difference to see.
    limit = float(np.abs(100 * cells.to_numpy()).max(initial=2.0))
    return made.update_traces(of_difference(*ARMS[:2], limit))


def robustness_accuracy(cells: pd.DataFrame, runs: int, images: int, name: str) -> go.Figure:
    """An arm's accuracy on corrupted images, in percent: `mean_accuracy` of so
    many runs, each measured on so many images; empty for none."""
    made = _corruptions(
        markup(name, 40),
        f"accuracy on corrupted validation images, last epoch<br>mean of {counted(runs, 'seed')}, "
        f"{images:,} images, percent",
        100 * cells,
        "%{z:.1f} % right",
        "%{z:.1f}",
    )
    return made.update_traces(PERCENT)


def _corruptions(
    title: str, subtitle: str, values: pd.DataFrame, words: str, text: str
) -> go.Figure:
    made = figure(title, subtitle, height=440, margin_t=80 + 20 * subtitle.count("<br>"))
    made.update_xaxes(title="Severity", dtick=1, showgrid=False)
    made.update_yaxes(autorange="reversed", showgrid=False)
    if values.empty:
        return say_empty(made, "It is drawn when runs have been measured on corrupted images.")
    return made.add_heatmap(
        z=values.to_numpy(),
        x=list(values.columns),
        y=[CORRUPTIONS[name].title if name in CORRUPTIONS else name for name in values.index],
        texttemplate=text,
        hovertemplate=hover("%{y}, severity %{x}", words),
        xgap=1,
        ygap=1,
    )
