"""Corrupted images: accuracy per corruption and severity, of one arm or two compared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.colours import ARMS, SEQUENTIAL, diverging
from tl_engine.charts.style import figure, hover, say_empty
from tl_engine.data.corruptions import CORRUPTIONS
from tl_engine.text import counted, markup

LEAST_POINTS = 2.0
"""The colours span at least two percentage points on either side: less is no difference to see."""


def robustness_difference(
    cells: pd.DataFrame, pairs: int, images: int, name_a: str, name_b: str
) -> go.Figure:
    """A minus B on corrupted images, in percentage points.

    Args:
        cells: as analysis.paired_scores.mean_difference gives it; empty for none.
        pairs: that it is the mean of.
        images: on which every run was measured.
    """
    a, b = markup(name_a, 28), markup(name_b, 28)
    made = _map(
        f"{a} minus {b}",
        f"violet: {a} is right more often<br>green: {b} is<br>accuracy on corrupted validation "
        f"images, last epoch<br>mean of {counted(pairs, 'pair')}, {images:,} images, "
        "percentage points",
        100 * cells,
        "%{z:+.1f} points",
    )
    limit = float(np.abs(100 * cells.to_numpy()).max(initial=LEAST_POINTS))
    bar = {"title": "points", "thickness": 12}
    made.update_traces(colorscale=diverging(*ARMS[:2]), zmin=-limit, zmax=limit, colorbar=bar)
    return made


def robustness_accuracy(cells: pd.DataFrame, runs: int, images: int, name: str) -> go.Figure:
    """An arm's accuracy on corrupted images, in percent.

    Args:
        cells: as analysis.paired_scores.mean_accuracy gives it; empty for none.
        runs: that it is the mean of.
        images: on which every run was measured.
    """
    made = _map(
        markup(name, 40),
        f"accuracy on corrupted validation images, last epoch<br>mean of {counted(runs, 'seed')}, "
        f"{images:,} images, percent",
        100 * cells,
        "%{z:.1f} % right",
    )
    made.update_traces(colorscale=SEQUENTIAL, zmin=0, zmax=100, showscale=False)
    return made


def _map(title: str, subtitle: str, values: pd.DataFrame, words: str) -> go.Figure:
    made = figure(title, subtitle, height=440, margin_t=80 + 20 * subtitle.count("<br>"))
    made.update_xaxes(title="Severity", dtick=1, showgrid=False)
    made.update_yaxes(autorange="reversed", showgrid=False)
    if values.empty:
        return say_empty(made, "It is drawn when runs have been measured on corrupted images.")
    names = [CORRUPTIONS[name].title if name in CORRUPTIONS else name for name in values.index]
    sign = "+" if ":+" in words else ""
    made.add_heatmap(
        z=values.to_numpy(),
        x=list(values.columns),
        y=names,
        texttemplate=f"%{{z:{sign}.1f}}",
        hovertemplate=hover("%{y}, severity %{x}", words),
        xgap=1,
        ygap=1,
    )
    return made
