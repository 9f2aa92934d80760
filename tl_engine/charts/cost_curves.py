"""What accuracy costs: the best of k runs against their time, and the arms that no other beats."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.budgets import on_frontier
from tl_engine.charts.arm_style import Arms, add_seeds, of_arm, seeds_of
from tl_engine.charts.style import (
    BELOW,
    NEUTRAL,
    NO_RUN,
    add_silent_line,
    figure,
    hover,
    say_empty,
    translucent,
)


def budget_curve(curve: pd.DataFrame, arms: Arms, at: float | None = None) -> go.Figure:
    """A stair per arm: with time for k runs, and not for one more, the expected best of k, as
    `analysis.score_table.budget_curve` gives it; a dotted line stands at so many seconds."""
    made = figure(
        "The best one may expect for the time",
        f"accuracy, validation split, last epoch, {seeds_of(curve, 'runs')}<br>"
        "expected best of k runs with other seeds:<br>"
        "chosen after looking, so it flatters; no verdict",
        margin_t=114,
        height=460,
        legend=BELOW,
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


def frontier(frame: pd.DataFrame, arms: Arms, cost: str) -> go.Figure:
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
    hovered = "%{x:,.4~g}: %{y:.1%}"
    for key, is_best in zip(means.index, means["best"], strict=True):
        name, colour = arms[key].name, arms[key].colour
        seeds, look = of_arm(frame, key), {"color": colour, "size": 6, "opacity": 0.35}
        add_seeds(made, seeds, seeds["cost"], seeds["value"], name, look, hovered)
        made.add_scatter(
            x=[seeds["cost"].mean()],
            y=[seeds["value"].mean()],
            mode="markers",
            marker={"color": colour if is_best else translucent(colour, 0.45), "size": 13},
            name=name if is_best else f'<span style="color:{NEUTRAL}">{name}</span>',
            hovertemplate=hover(f"{name}, mean of {len(seeds)}", hovered),
        )
    return made
