"""Confusion matrices: one, and the difference of two."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from tl_engine.analysis.confusion import difference, row_shares
from tl_engine.charts.style import DIVERGING, SEQUENTIAL, figure, plain

WRITTEN_CLASSES = 12
"""Cells carry their numbers up to so many classes."""


def confusion_matrix(counts: np.ndarray, class_names: Sequence[str], title: str) -> go.Figure:
    """Which class is taken for which: shades are shares of the true class, numbers are images."""
    shares = row_shares(counts)
    made = _matrix(
        plain(title),
        f"{int(counts.sum()):,} predictions, validation split; numbers are images",
        100 * shares,
        class_names,
        [[str(count) if count else "" for count in row] for row in counts],
        "%{y} taken for %{x}<br>%{customdata} images, %{z:.1f} % of %{y}<extra></extra>",
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
) -> go.Figure:
    """A minus B, in percentage points of the true class, so that different totals compare."""
    points = difference(counts_a, counts_b)
    limit = max(1.0, float(np.nanmax(np.abs(points))))
    made = _matrix(
        f"{plain(name_a, 40)} minus {plain(name_b, 40)}",
        f"percentage points of the true class; violet: {plain(name_a, 30)} says so more often, "
        f"green: {plain(name_b, 30)} does",
        points,
        class_names,
        [[f"{value:+.0f}" if abs(value) >= 0.5 else "" for value in row] for row in points],
        "%{y} taken for %{x}: %{z:+.1f} points<extra></extra>",
        points,
    )
    made.update_traces(
        colorscale=DIVERGING, zmin=-limit, zmax=limit, colorbar={"title": "points", "thickness": 12}
    )
    return made


def _matrix(
    title: str,
    subtitle: str,
    values: np.ndarray,
    class_names: Sequence[str],
    text: list[list[str]],
    hover: str,
    customdata: np.ndarray,
) -> go.Figure:
    names = [plain(name, 24) for name in class_names]
    made = figure(title, subtitle, height=520)
    made.add_heatmap(
        z=values,
        x=names,
        y=names,
        customdata=customdata,
        text=text if len(names) <= WRITTEN_CLASSES else None,
        texttemplate="%{text}" if len(names) <= WRITTEN_CLASSES else None,
        hovertemplate=hover,
        xgap=1,
        ygap=1,
    )
    made.update_xaxes(title="Predicted", side="bottom", tickangle=-45, showgrid=False)
    made.update_yaxes(title="True class", autorange="reversed", showgrid=False)
    return made
