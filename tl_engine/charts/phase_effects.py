"""What phases did to networks: weights, features, heads, and the way between two states.

A thin line or a small dot is a seed, a thick line or a bar the mean of an arm's seeds.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import (
    Arms,
    ArmStyle,
    add_lines,
    add_losses,
    add_seeds,
    arms_figure,
    of_arm,
    seeds_of,
)
from tl_engine.charts.heatmap_cells import PERCENT
from tl_engine.charts.style import NEUTRAL, figure, hover, layers, say_empty, translucent
from tl_engine.text import counted, markup

NOTHING = "It is drawn when a run has finished that was looked at."
WRITTEN_CELLS = 60
DEPTH = "Block, input at the bottom"


def drift_map(blocks: pd.DataFrame, arm: ArmStyle, highest: float) -> go.Figure:
    """How far each block's weights are from where they began, after each phase of one arm.

    Args:
        blocks: rows of `analysis.phase_tables.blocks` of that arm.
        highest: drift of the darkest shade, so that arms compare.
    """
    made = figure(
        markup(arm.title, 40),
        f"‖W − W₀‖ / ‖W₀‖ in percent, mean of {counted(blocks['run'].nunique(), 'seed')}<br>"
        "from the run's first weights",
        height=180 + 30 * max(blocks["block"].nunique(), 3),
        margin_t=96,
    )
    if blocks.empty:
        return say_empty(made, NOTHING)
    after = blocks[blocks["is_end"]]
    cells = (100 * after["drift"]).groupby([after["block"], after["stage"]], sort=False)
    means, low, high = (getattr(cells, name)().unstack("stage") for name in ("mean", "min", "max"))
    made.update_yaxes(title=DEPTH, type="category", showgrid=False)
    made.update_xaxes(type="category", showgrid=False)
    return made.add_heatmap(
        z=means.to_numpy(),
        x=[_stage(int(stage), after) for stage in means.columns],
        y=[markup(block) for block in means.index],
        text=[[_short(value) + " %" for value in row] for row in means.to_numpy()],
        texttemplate="%{text}" if means.size <= WRITTEN_CELLS else None,
        customdata=np.dstack([low.to_numpy(), high.to_numpy()]),
        hovertemplate=hover(
            "%{y}, %{x}",
            "mean %{z:.4g} % of its length",
            "seeds %{customdata[0]:.4g} to %{customdata[1]:.4g} %",
        ),
        xgap=2,
        ygap=2,
        **PERCENT | {"zmax": 100 * max(highest, 1e-9)},
    )


def distortion_bars(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """How far the features moved after each phase (rows of `analysis.phase_tables.states`): full
    bars on clean images, striped ones on the same images corrupted."""
    words = "mean ‖f − f₀‖ / mean ‖f₀‖ after the body<br>full: clean, striped: corrupted"
    made = arms_figure("Feature distortion", f"{words}<br>{_basis(states)}", arms)
    after = states[states["is_end"]]
    if after.empty:
        return say_empty(made, NOTHING)
    width = 0.8 / (2 * len(arms))
    kinds = (("clean", "distortion", 1.0, ""), ("corrupted", "corrupted_distortion", 0.55, "/"))
    for number, (key, arm) in enumerate(arms.items()):
        rows = of_arm(after, key)
        for place, (kind, column, opacity, shape) in enumerate(kinds):
            shift = (2 * number + place + 0.5) * width - 0.4
            means, name = rows.groupby("stage")[column].mean(), f"{arm.name}, {kind}"
            made.add_bar(
                x=means.index + shift,
                y=means,
                width=0.9 * width,
                marker_color=translucent(arm.colour, opacity),
                marker_pattern={"shape": shape, "solidity": 0.35},
                name=arm.name,
                showlegend=place == 0,
                hovertemplate=hover(name, "mean %{y:.3f}"),
            )
            if rows["run"].nunique() > 1:
                look = {"color": NEUTRAL, "size": 5, "opacity": 0.8}
                places = rows["stage"] + shift
                add_seeds(made, rows, places, rows[column], name, look, "%{y:.3f}")
    _stage_axis(made, after)
    return made.update_yaxes(title="Relative distance", rangemode="tozero")


def refit_lines(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """Accuracy of the run's own head (full lines) and of a classifier that is fitted anew on the
    features (dotted), where each phase began and ended; a phase has its own probe."""
    words = (
        "accuracy on the probe; full: the run's head<br>dotted: fitted on half, read on the other"
    )
    made = arms_figure("Its own head, and one fitted anew", f"{words}<br>{_basis(states)}", arms)
    if states.empty:
        return say_empty(made, NOTHING)
    for key, arm in arms.items():
        for place, (_, rows) in enumerate(of_arm(states, key).groupby("phase")):
            add_lines(made, rows, "stage", "accuracy", arm, ".1%", legend=place == 0)
            add_lines(made, rows, "stage", "refitted", arm, ".1%", suffix=", refitted")
    _stage_axis(made, states)
    return made.update_yaxes(title="Accuracy", tickformat=".0%")


def alike_lines(blocks: pd.DataFrame, arms: Arms) -> go.Figure:
    """CKA of each block's features after the last phase with those at the start."""
    measured = blocks[blocks["is_end"]].dropna(subset="cka")
    subtitle = f"debiased linear CKA, last end with start<br>{_basis(blocks)}"
    made = arms_figure("Likeness of features over depth", subtitle, arms)
    if measured.empty:
        return say_empty(made, NOTHING)
    last = measured[measured["stage"] == measured.groupby("run")["stage"].transform("max")]
    order = list(dict.fromkeys(last["block"]))
    last = last.assign(depth=last["block"].map(order.index))
    for key, arm in arms.items():
        add_lines(made, of_arm(last, key), "depth", "cka", arm, ".4f", upright=True)
    names = [markup(block) for block in order]
    made.update_yaxes(title=DEPTH, tickvals=list(range(len(order))), ticktext=names)
    return made.update_xaxes(title="CKA, 1 = the same")


def path_lines(paths: pd.DataFrame, arms: Arms) -> go.Figure:
    """Loss along the straight line between the weights with which each phase began and ended."""
    subtitle = f"loss between a phase's first and last weights<br>{_basis(paths)}"
    made = arms_figure("The straight line through each phase", subtitle, arms)
    if paths.empty:
        return say_empty(made, "No finished run was asked between the ends of its phases.")
    add_losses(made, paths.assign(along=paths["phase"] + paths["at"]), arms, "along")
    _stage_axis(made, paths.assign(stage=paths["phase"] + 1), 0)
    for stage in range(1, int(paths["phase"].max()) + 1):
        made.add_vline(stage, line={"color": translucent(NEUTRAL, 0.6), "width": 1})
    return made.update_yaxes(title="Loss (cross-entropy)")


def head_lines(states: pd.DataFrame, arms: Arms) -> go.Figure:
    """The norm of the head's kernel, at the start and after each phase."""
    made = arms_figure("Size of the head", f"‖V‖ of its kernel, {seeds_of(states)}", arms)
    if states.empty:
        return say_empty(made, NOTHING)
    for key, arm in arms.items():
        rows = of_arm(states, key).drop_duplicates(["run", "stage"])  # no probe is in it
        add_lines(made, rows, "stage", "head_norm", arm, ".3f")
    _stage_axis(made, states)
    return made.update_yaxes(title="Norm")


def _stage_axis(made: go.Figure, rows: pd.DataFrame, *more: int) -> None:
    """The stages by name; what a phase trains where all arms agree."""
    stages = sorted({*rows["stage"], *more})
    names = [_stage(stage, rows) for stage in stages]
    made.update_xaxes(tickvals=stages, ticktext=names, range=[stages[0] - 0.5, stages[-1] + 0.5])


def _stage(stage: int, rows: pd.DataFrame) -> str:
    if stage == 0:
        return "start"
    trained = set(rows.loc[rows["stage"] == stage, "trained"])
    words = f"<br>({layers(trained.pop())})" if len(trained) == 1 else ""
    return f"after phase {stage}{words}"


def _basis(rows: pd.DataFrame) -> str:
    """How many images and seeds: "128 validation images, 5 seeds per arm"."""
    return f"{images_words(rows['images'])}, {seeds_of(rows)}"


def images_words(counts: pd.Series) -> str:
    """The probe's size in words: "128 validation images"."""
    sizes = sorted(set(counts)) or [0]
    span = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else f"{sizes[0]}"
    return f"{span} validation images"


def _short(value: float) -> str:
    """A percentage with two digits that count."""
    if pd.isna(value):
        return ""
    return "0" if value == 0 else f"{value:.2g}" if value >= 0.01 else "<0.01"
