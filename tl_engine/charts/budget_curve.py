"""The budget curve: the best of k runs that one may expect, against the time they take."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import BELOW, NEUTRAL, ArmKey, ArmStyle, figure, say_empty, seeds_words
from tl_engine.text import markup


def budget_curve(
    curve: pd.DataFrame, arms: Mapping[ArmKey, ArmStyle], at: float | None = None
) -> go.Figure:
    """A stair per arm: with time for k runs, and not for one more, the expected best of k.

    Args:
        curve: as analysis.best_of.budget_curve gives it.
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
        return say_empty(made, "It is drawn when a run has finished.")
    for key, style in arms.items():
        ours = curve[(curve["study"] == key[0]) & (curve["arm"] == key[1])]
        name = markup(style.title)
        made.add_scatter(
            x=ours["seconds"],
            y=ours["value"],
            mode="lines+markers",
            line={"color": style.colour, "width": 2.5, "shape": "hv"},
            marker={"size": 7},
            name=name,
            showlegend=True,
            customdata=ours["runs"],
            hovertemplate=f"{name}, best of %{{customdata}}<br>%{{x:,.0f}} s: %{{y:.1%}}"
            "<extra></extra>",
        )
    if at is not None:
        made.add_vline(x=at, line={"color": NEUTRAL, "width": 1.5, "dash": "dot"})
    return made
