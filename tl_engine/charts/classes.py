"""Accuracy per class, as dots."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import arm_colours, figure, plain, say_empty


def per_class(frame: pd.DataFrame) -> go.Figure:
    """A large dot per arm and class (the mean of its seeds), a small one per seed.

    Args:
        frame: columns study, arm, seed, class, accuracy (0 to 1); classes are drawn from the
            one with the largest difference between arms down, with one arm from the hardest up.
    """
    seeds = frame.groupby(["study", "arm"])["seed"].nunique()
    most = int(seeds.max()) if len(seeds) else 0
    made = figure(
        "Accuracy per class",
        f"validation split, {most} seed{'s' if most != 1 else ''} per arm",
        height=220 + 26 * max(frame["class"].nunique(), 4),
    )
    if frame.empty:
        return say_empty(made, "It is drawn when a run has finished.")
    means = frame.groupby(["study", "arm", "class"], sort=False)["accuracy"].mean().reset_index()
    order = _order(means)
    keys = list(dict.fromkeys(zip(frame["study"], frame["arm"], strict=True)))
    for (study, arm), colour in arm_colours(keys).items():
        ours = (frame["study"] == study) & (frame["arm"] == arm)
        if seeds[study, arm] > 1:
            made.add_scatter(
                x=frame[ours]["accuracy"],
                y=frame[ours]["class"].map(plain),
                mode="markers",
                marker={"color": colour, "size": 5, "opacity": 0.45},
                showlegend=False,
                hoverinfo="skip",
            )
        mean = means[(means["study"] == study) & (means["arm"] == arm)]
        made.add_scatter(
            x=mean["accuracy"],
            y=mean["class"].map(plain),
            mode="markers",
            marker={"color": colour, "size": 12},
            name=plain(arm),
            hovertemplate=f"{plain(arm)}<br>%{{y}}: %{{x:.1%}}<extra></extra>",
        )
    made.update_xaxes(title="Share predicted right", tickformat=".0%")
    made.update_yaxes(categoryorder="array", categoryarray=[plain(n) for n in reversed(order)])
    return made


def _order(means: pd.DataFrame) -> list[str]:
    wide = means.pivot_table(index="class", columns=["study", "arm"], values="accuracy")
    if wide.shape[1] > 1:
        return list((wide.max(axis=1) - wide.min(axis=1)).sort_values(ascending=False).index)
    return list(wide.iloc[:, 0].sort_values().index)
