"""The budget curve: the best of k runs that one may expect, against the time they take."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import ArmKey, ArmStyle, of_arm, seeds_words
from tl_engine.charts.colours import NEUTRAL
from tl_engine.charts.style import BELOW, NO_RUN, figure, hover, say_empty


def budget_curve(
    curve: pd.DataFrame, arms: Mapping[ArmKey, ArmStyle], at: float | None = None
) -> go.Figure:
    """A stair per arm: with time for k runs, and not for one more, the expected best of k.

    Args:
        curve: as analysis.score_table.budget_curve gives it.
        at: seconds at which a dotted line stands.
    """
    seeds = curve.groupby(["study", "arm"])["runs"].max()
    made = figure(
        "The best one may expect for the time",
        f"accuracy, validation split, last epoch, {seeds_words(seeds)}<br>"
        "expected best of k runs with other seeds:<br>"
        "chosen after looking, so it flatters; no verdict",
        margin_t=114,
        height=460,
        legend=BELOW,
        uirevision="budget curve",
    )
    made.update_xaxes(title="Seconds for k runs, cold", rangemode="tozero")
    made.update_yaxes(title="Expected best validation accuracy", tickformat=".1%")
    if curve.empty:
        return say_empty(made, NO_RUN)
    for key, style in arms.items():
        rows = of_arm(curve, key)
        made.add_scatter(
            x=rows["seconds"],
            y=rows["value"],
            mode="lines+markers",
            line={"color": style.colour, "width": 2.5, "shape": "hv"},
            marker={"size": 7},
            name=style.name,
            showlegend=True,
            customdata=rows["runs"],
            hovertemplate=hover(f"{style.name}, best of %{{customdata}}", "%{x:,.0f} s: %{y:.1%}"),
        )
    if at is not None:
        made.add_vline(x=at, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    return made
