"""Cost against accuracy, and the arms that no other beats in both."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.budgets import on_frontier
from tl_engine.charts.arm_style import ArmKey, ArmStyle, of_arm, seeds_of
from tl_engine.charts.colours import NEUTRAL, translucent
from tl_engine.charts.seed_marks import add_seeds
from tl_engine.charts.style import BELOW, NO_RUN, add_silent_line, figure, hover, say_empty

FAINT = 0.45
"""How visible the dot of an arm is that another beats."""


def frontier(frame: pd.DataFrame, arms: Mapping[ArmKey, ArmStyle], cost: str) -> go.Figure:
    """A large dot per arm at its means, a faint one per seed, and stairs through the arms that are
    on the Pareto frontier.

    Args:
        frame: columns study, arm, seed, cost (at least 0), value (a share).
        cost: title of the cost axis, with its unit.
    """
    frame = frame.dropna(subset=["cost", "value"])
    made = figure(
        "What accuracy costs",
        f"accuracy, validation split, last epoch, {seeds_of(frame, 'seed')}<br>"
        "stairs: arms that no other beats in both; no verdict",
        margin_t=100,
        height=460,
        legend=BELOW,
        uirevision="frontier",
    )
    made.update_xaxes(title=cost, rangemode="tozero")
    made.update_yaxes(title="Validation accuracy", tickformat=".1%")
    if frame.empty:
        return say_empty(made, NO_RUN)
    means = frame.groupby(["study", "arm"], sort=False)[["cost", "value"]].mean()
    means["best"] = on_frontier(means["cost"].to_numpy(), means["value"].to_numpy())
    means = means.sort_values("cost")
    # From the cheapest arm to the best, and on: what costs more and is no better is beaten.
    best = means[means["best"]]
    costs, values = [*best["cost"], means["cost"].max()], [*best["value"], best["value"].iloc[-1]]
    add_silent_line(made, costs, values, {"color": NEUTRAL, "width": 1.5, "shape": "hv"})
    for key, is_best in zip(means.index, means["best"], strict=True):
        _add_arm(made, of_arm(frame, key), arms[key], bool(is_best))
    return made


def _add_arm(made: go.Figure, seeds: pd.DataFrame, style: ArmStyle, best: bool) -> None:
    name, value = style.name, "%{x:,.4~g}: %{y:.1%}"
    look = {"color": style.colour, "size": 6, "opacity": 0.35}
    add_seeds(made, seeds, seeds["cost"], seeds["value"], name, look, value)
    made.add_scatter(
        x=[seeds["cost"].mean()],
        y=[seeds["value"].mean()],
        mode="markers",
        marker={"color": style.colour if best else translucent(style.colour, FAINT), "size": 13},
        name=name if best else f'<span style="color:{NEUTRAL}">{name}</span>',
        hovertemplate=hover(f"{name}, mean of {len(seeds)}", value),
    )
