"""What phases did to networks: weights, features, heads, and the way between two states.

A thin line or a small dot is a seed, a thick line or a bar the mean of an arm's seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.phases import layers
from tl_engine.charts.style import (
    BELOW,
    NEUTRAL,
    SEQUENTIAL,
    ArmKey,
    figure,
    say_empty,
    seeds_words,
    translucent,
)
from tl_engine.text import markup

NOTHING = "It is drawn when a run has finished that was looked at."
WRITTEN_CELLS = 60
LEGEND_LINE = 20
"""Height of a legend's line in pixels; names of arms are long, so each has one."""


class Drawn(NamedTuple):
    """How an arm is drawn.

    Attributes:
        name: for people, not yet made safe.
        colour: hex.
    """

    name: str
    colour: str


Arms = Mapping[ArmKey, Drawn]


def drift_map(blocks: pd.DataFrame, arm: Drawn, highest: float) -> go.Figure:
    """How far each block's weights are from where they began, after each phase of one arm.

    Args:
        blocks: rows of `analysis.diagnosis.blocks` of that arm.
        highest: drift of the darkest shade, so that arms compare.
    """
    made = figure(
        markup(arm.name, 40),
        f"‖W − W₀‖ / ‖W₀‖ in percent, mean of {_seeds(blocks)}<br>from the run's first weights",
        height=180 + 30 * max(blocks["block"].nunique(), 3),
        margin_t=96,
    )
    if blocks.empty:
        return say_empty(made, NOTHING)
    after = blocks[blocks["is_end"]]
    cells = (100 * after["drift"]).groupby([after["block"], after["stage"]], sort=False)
    means, low, high = (getattr(cells, name)().unstack("stage") for name in ("mean", "min", "max"))
    written = means.size <= WRITTEN_CELLS
    made.add_heatmap(
        z=means.to_numpy(),
        x=[_stage(int(stage), after) for stage in means.columns],
        y=[markup(block) for block in means.index],
        colorscale=SEQUENTIAL,
        zmin=0,
        zmax=100 * max(highest, 1e-9),
        showscale=False,
        text=[[_short(value) + " %" for value in row] for row in means.to_numpy()],
        texttemplate="%{text}" if written else None,
        customdata=np.dstack([low.to_numpy(), high.to_numpy()]),
        hovertemplate="%{y}, %{x}<br>mean %{z:.4g} % of its length<br>"
        "seeds %{customdata[0]:.4g} to %{customdata[1]:.4g} %<extra></extra>",
        xgap=2,
        ygap=2,
    )
    made.update_yaxes(title="Block, input at the bottom", type="category", showgrid=False)
    made.update_xaxes(type="category", showgrid=False)
    return made


def distortion_bars(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """How far the features moved after each phase: full bars on clean images, striped ones on the
    same images corrupted.

    Args:
        states: as `analysis.diagnosis.states` gives it.
    """
    made = figure(
        "Feature distortion",
        "mean ‖f − f₀‖ / mean ‖f₀‖ after the body<br>full: clean, striped: corrupted<br>"
        + _of(states),
        margin_t=112,
        **room(arms),
    )
    after = states[states["is_end"]]
    if after.empty:
        return say_empty(made, NOTHING)
    width = 0.8 / (2 * len(arms))
    kinds = {"distortion": "clean", "corrupted_distortion": "corrupted"}
    for number, (key, arm) in enumerate(arms.items()):
        ours = of_arm(after, key)
        for place, (column, kind) in enumerate(kinds.items()):
            shift = (2 * number + place + 0.5) * width - 0.4
            means = ours.groupby("stage")[column].mean()
            name = f"{markup(arm.name)}, {kind}"
            made.add_bar(
                x=means.index + shift,
                y=means,
                width=0.9 * width,
                marker={
                    "color": translucent(arm.colour, 1.0 if place == 0 else 0.55),
                    "pattern": {"shape": "/" if place else "", "solidity": 0.35},
                },
                name=markup(arm.name),
                showlegend=place == 0,
                hovertemplate=f"{name}<br>mean %{{y:.3f}}<extra></extra>",
            )
            _add_dots(made, ours, column, shift, name)
    _stage_axis(made, after)
    made.update_yaxes(title="Relative distance", rangemode="tozero")
    return made


def refit_lines(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """Accuracy of the run's own head (full lines) and of a classifier that is fitted anew on the
    features (dotted), where each phase began and ended; a phase has its own probe."""
    made = figure(
        "Its own head, and one fitted anew",
        "accuracy on the probe; full: the run's head<br>dotted: fitted on half, read on the other"
        f"<br>{_of(states)}",
        margin_t=112,
        **room(arms),
    )
    if states.empty:
        return say_empty(made, NOTHING)
    for key, arm in arms.items():
        name = markup(arm.name)
        own = ("stage", "accuracy", name, arm.colour, ".1%")
        refitted = ("stage", "refitted", f"{name}, refitted", arm.colour, ".1%")
        for place, (_, ours) in enumerate(of_arm(states, key).groupby("phase")):
            add_lines(made, ours, *own, legend=place == 0)
            add_lines(made, ours, *refitted, dash="dot", legend=False)
    _stage_axis(made, states)
    made.update_yaxes(title="Accuracy", tickformat=".0%")
    return made


def alike_lines(blocks: pd.DataFrame, arms: Arms) -> go.Figure:
    """How alike each block's features are to those at the start, after the last phase."""
    known = blocks[blocks["is_end"]].dropna(subset="cka")
    made = figure(
        "Likeness of features over depth",
        f"debiased linear CKA, last end with start<br>{_of(blocks)}",
        margin_t=96,
        **room(arms),
    )
    if known.empty:
        return say_empty(made, NOTHING)
    last = known[known["stage"] == known.groupby("run")["stage"].transform("max")]
    order = list(dict.fromkeys(last["block"]))
    last = last.assign(depth=last["block"].map(order.index))
    for key, arm in arms.items():
        ours = of_arm(last, key)
        add_lines(made, ours, "depth", "cka", markup(arm.name), arm.colour, ".4f", upright=True)
    names = [markup(block) for block in order]
    made.update_yaxes(title="Block, input at the bottom")
    made.update_yaxes(tickvals=list(range(len(order))), ticktext=names)
    made.update_xaxes(title="CKA, 1 = the same")
    return made


def path_lines(paths: pd.DataFrame, arms: Arms) -> go.Figure:
    """Loss along the straight line between the weights with which each phase began and ended."""
    made = figure(
        "The straight line through each phase",
        f"loss between a phase's first and last weights<br>{_of(paths)}",
        margin_t=96,
        **room(arms),
    )
    if paths.empty:
        return say_empty(made, "No finished run was asked between the ends of its phases.")
    along = paths.assign(along=paths["phase"] + paths["at"])
    for key, arm in arms.items():
        look = ("along", "loss", markup(arm.name), arm.colour, ".4f")
        for place, (_, ours) in enumerate(of_arm(along, key).groupby("phase")):
            add_lines(made, ours, *look, legend=place == 0)
    _stage_axis(made, paths.assign(stage=paths["phase"] + 1), start=True)
    for stage in range(1, int(along["phase"].max()) + 1):
        made.add_vline(stage, line={"color": translucent(NEUTRAL, 0.6), "width": 1})
    made.update_yaxes(title="Loss (cross-entropy)")
    return made


def head_lines(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """The norm of the head's kernel, at the start and after each phase."""
    seeds = states.groupby(["study", "arm"])["run"].nunique()
    made = figure("Size of the head", f"‖V‖ of its kernel, {seeds_words(seeds)}", **room(arms))
    if states.empty:
        return say_empty(made, NOTHING)
    for key, arm in arms.items():
        ours = of_arm(states, key).drop_duplicates(["run", "stage"])  # no probe is in it
        add_lines(made, ours, "stage", "head_norm", markup(arm.name), arm.colour, ".3f")
    _stage_axis(made, states)
    made.update_yaxes(title="Norm")
    return made


def room(arms: Arms) -> dict[str, Any]:
    """A legend at the bottom, with a line for each arm."""
    return {"height": 380 + LEGEND_LINE * len(arms), "legend": BELOW}


def add_lines(
    made: go.Figure,
    rows: pd.DataFrame,
    along: str,
    value: str,
    name: str,
    colour: str,
    shown: str,
    *,
    dash: str = "solid",
    legend: bool = True,
    upright: bool = False,
    mode: str = "lines+markers",
) -> None:
    """A thin line per seed and a thick one at their mean; one line where there is one seed.

    Args:
        along, value: columns; the value is read upwards, or sideways where it is upright.
        shown: format of the value.
    """
    several = rows["run"].nunique() > 1
    axes = ("y", "x") if upright else ("x", "y")
    told = f"%{{{axes[1]}:{shown}}}<extra></extra>"
    for _, run in rows.groupby("run") if several else ():
        made.add_scatter(
            **dict(zip(axes, (run[along], run[value]), strict=True)),
            mode=mode,
            marker={"size": 4},
            line={"color": translucent(colour, 0.45), "width": 1, "dash": dash},
            showlegend=False,
            hovertemplate=f"{name}, pair {run['seed'].iloc[0]}<br>{told}",
        )
    means = rows.groupby(along)[value].mean()
    mean = f" (mean of {rows['run'].nunique()})" if several else ""
    made.add_scatter(
        **dict(zip(axes, (means.index, means), strict=True)),
        mode=mode,
        marker={"size": 7},
        line={"color": colour, "width": 3, "dash": dash},
        name=name,
        showlegend=legend,
        hovertemplate=f"{name}{mean}<br>{told}",
    )


def _add_dots(made: go.Figure, rows: pd.DataFrame, column: str, shift: float, name: str) -> None:
    if rows["run"].nunique() < 2:
        return
    made.add_scatter(
        x=rows["stage"] + shift,
        y=rows[column],
        mode="markers",
        marker={"color": NEUTRAL, "size": 5, "opacity": 0.8},
        showlegend=False,
        customdata=rows["seed"],
        hovertemplate=f"{name}, pair %{{customdata}}<br>%{{y:.3f}}<extra></extra>",
    )


def _stage_axis(made: go.Figure, rows: pd.DataFrame, *, start: bool = False) -> None:
    """The stages by name; what a phase trains where all arms agree."""
    stages = sorted({*rows["stage"], *([0] if start else [])})
    made.update_xaxes(
        tickvals=stages,
        ticktext=[_stage(stage, rows) for stage in stages],
        range=[min(stages) - 0.5, max(stages) + 0.5],
    )


def _stage(stage: int, rows: pd.DataFrame) -> str:
    if stage == 0:
        return "start"
    trained = set(rows.loc[rows["stage"] == stage, "trained"])
    words = f"<br>({layers(trained.pop())})" if len(trained) == 1 else ""
    return f"after phase {stage}{words}"


def of_arm(rows: pd.DataFrame, key: ArmKey) -> pd.DataFrame:
    return rows[(rows["study"] == key[0]) & (rows["arm"] == key[1])]


def _of(rows: pd.DataFrame) -> str:
    """How many images and seeds: "128 validation images, 5 seeds per arm"."""
    seeds = rows.groupby(["study", "arm"])["run"].nunique()
    return f"{images_words(rows['images'])}, {seeds_words(seeds)}"


def _seeds(rows: pd.DataFrame) -> str:
    count = rows["run"].nunique()
    return f"{count} seeds" if count != 1 else "1 seed"


def images_words(counts: Sequence[Any] | pd.Series) -> str:
    """The probe's size in words: "128 validation images"."""
    sizes = sorted(set(counts)) or [0]
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    return f"{span} validation images"


def _short(value: float) -> str:
    """A percentage with two digits that count."""
    if pd.isna(value):
        return ""
    return "0" if value == 0 else f"{value:.2g}" if value >= 0.01 else "<0.01"
