"""Marks of seeds: small dots, and thin lines beside a thick one at their mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import ArmKey, ArmStyle, of_arm
from tl_engine.charts.colours import translucent
from tl_engine.charts.style import BELOW, hover

LEGEND_LINE = 20
"""Height of a legend's line in pixels; names of arms are long, so each has one."""
Arms = Mapping[ArmKey, ArmStyle]


def room(arms: Arms) -> dict[str, Any]:
    """A legend at the bottom, with a line for each arm."""
    return {"height": 380 + LEGEND_LINE * len(arms), "legend": BELOW}


def add_losses(
    made: go.Figure, rows: pd.DataFrame, arms: Arms, along: str, mode: str = "lines+markers"
) -> None:
    """Draw the loss of each arm (`add_lines`), broken where a phase begins; an arm has one entry in
    the legend."""
    for key, arm in arms.items():
        for place, (_, phase) in enumerate(of_arm(rows, key).groupby("phase")):
            add_lines(made, phase, along, "loss", arm, ".4f", legend=place == 0, mode=mode)


def add_lines(
    made: go.Figure,
    rows: pd.DataFrame,
    along: str,
    value: str,
    arm: ArmStyle,
    format: str,
    *,
    suffix: str = "",
    dash: str = "solid",
    legend: bool = True,
    upright: bool = False,
    mode: str = "lines+markers",
) -> None:
    """A thin line per seed and a thick one at their mean; one line where there is one seed.

    Args:
        along, value: columns; the value is read upwards, or sideways where it is upright.
        format: of the value (d3-format).
        suffix: behind the arm's name.
        legend: whether the thick line has an entry.
        mode: Plotly's.
    """
    seeds, name, colour = rows["run"].nunique(), f"{arm.name}{suffix}", arm.colour
    axes = ("y", "x") if upright else ("x", "y")
    number = f"%{{{axes[1]}:{format}}}"
    for _, run in rows.groupby("run") if seeds > 1 else ():
        made.add_scatter(
            **dict(zip(axes, (run[along], run[value]), strict=True)),
            mode=mode,
            marker={"size": 4},
            line={"color": translucent(colour, 0.45), "width": 1, "dash": dash},
            showlegend=False,
            hovertemplate=hover(f"{name}, pair {run['seed'].iloc[0]}", number),
        )
    means = rows.groupby(along)[value].mean()
    mean = f" (mean of {seeds})" if seeds > 1 else ""
    made.add_scatter(
        **dict(zip(axes, (means.index, means), strict=True)),
        mode=mode,
        marker={"size": 7},
        line={"color": colour, "width": 3, "dash": dash},
        name=name,
        showlegend=legend,
        hovertemplate=hover(f"{name}{mean}", number),
    )


def add_seeds(
    made: go.Figure, rows: pd.DataFrame, x: Any, y: Any, name: str, look: dict[str, Any], words: str
) -> None:
    """Draw a small dot per row.

    Args:
        rows: with a column seed.
        name: of the arm or setting, escaped.
        look: Plotly's marker.
        words: what stands below the name and the pair when a dot is touched.
    """
    made.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker=look,
        showlegend=False,
        customdata=rows["seed"],
        hovertemplate=hover(f"{name}, pair %{{customdata}}", words),
    )
