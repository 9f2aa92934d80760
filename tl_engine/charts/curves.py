"""Learning curves: a thin line per seed, a thick mean per arm, the phases visible."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.curves import mean_curves, with_axes
from tl_engine.charts.phases import rate
from tl_engine.charts.style import (
    ON_PHASE,
    arm_colours,
    figure,
    phase_colour,
    plain,
    say_empty,
    translucent,
)

METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss (cross-entropy)"}
TRAIN = {"val_accuracy": "accuracy", "val_loss": "loss"}
AXES = {
    "epoch": "Epoch",
    "images": "Training images seen",
    "seconds": "Seconds of training and measuring",
}
MARKED_EPOCHS = 20
"""Points are marked on curves of at most so many epochs."""
ROW = 0.075
"""Height of an arm's row of phases, as a share of the figure."""

ArmKey = tuple[str, str]


def learning_curves(
    history: pd.DataFrame,
    metric: str = "val_accuracy",
    x: str = "epoch",
    show_train: bool = False,
) -> go.Figure:
    """Curves of every run in the history, nothing smoothed.

    Where all arms switch phases at the same places the phases are shaded behind the curves;
    otherwise every arm has a row of its own beneath them. In both cases a dotted line in the
    arm's colour marks each switch.

    Args:
        metric: "val_accuracy" or "val_loss".
        x: "epoch", "images" or "seconds".
        show_train: add the training sample, dashed.
    """
    seeds = history.groupby(["study", "arm"])["run"].nunique()
    most = int(seeds.max()) if len(seeds) else 0
    made = figure(
        METRICS[metric],
        f"{most} seed{'s' if most != 1 else ''} per arm, validation split, not smoothed",
    )
    if history.empty:
        return say_empty(made, "The first epoch draws the first point.")
    spent = with_axes(history)
    arms = list(dict.fromkeys(zip(history["study"], history["arm"], strict=True)))
    colours = arm_colours(arms)
    names = _names(arms)
    marks = "lines+markers" if history["epoch"].max() <= MARKED_EPOCHS else "lines"
    for key in arms:
        _add_arm(made, spent, key, names[key], colours[key], metric, x, marks, seeds[key] > 1)
        if show_train:
            _add_train(made, spent, key, names[key], colours[key], TRAIN[metric], x)
    if most > 1:
        means = mean_curves(history, metric, x)
        for key in arms:
            if seeds[key] > 1:
                _add_mean(made, _of_arm(means, key), names[key], colours[key], marks)
    _add_phases(made, {key: _segments(spent, key, x) for key in arms}, names, colours)
    made.update_xaxes(title=AXES[x], rangemode="tozero")
    accuracy = metric == "val_accuracy"
    made.update_yaxes(title=METRICS[metric], tickformat=".0%" if accuracy else None, selector=0)
    return made


def _names(arms: list[ArmKey]) -> dict[ArmKey, str]:
    """An arm's name, with its study's id where two share it."""
    names = [name for _, name in arms]
    return {
        (study, name): plain(name if names.count(name) == 1 else f"{name} ({study})")
        for study, name in arms
    }


def _of_arm(spent: pd.DataFrame, key: ArmKey) -> pd.DataFrame:
    return spent[(spent["study"] == key[0]) & (spent["arm"] == key[1])]


def _add_arm(
    made: go.Figure,
    spent: pd.DataFrame,
    key: ArmKey,
    name: str,
    colour: str,
    metric: str,
    x: str,
    marks: str,
    several: bool,
) -> None:
    for number, (_, run) in enumerate(_of_arm(spent, key).groupby("run", sort=False)):
        seed = run["seed"].iloc[0]
        made.add_scatter(
            x=run[f"x_{x}"],
            y=run[metric],
            mode="lines" if several else marks,
            name=name,
            legendgroup=name,
            showlegend=number == 0 and not several,
            line={"color": colour, "width": 1 if several else 2.5},
            opacity=0.45 if several else 1,
            customdata=run[["epoch", "trainable", "learning_rate"]],
            hovertemplate=f"{name}, pair {seed}<br>epoch %{{customdata[0]}}, "
            "%{customdata[1]} at %{customdata[2]:g}<br>%{y}<extra></extra>",
        )


def _add_train(
    made: go.Figure,
    spent: pd.DataFrame,
    key: ArmKey,
    name: str,
    colour: str,
    metric: str,
    x: str,
) -> None:
    for number, (_, run) in enumerate(_of_arm(spent, key).groupby("run", sort=False)):
        made.add_scatter(
            x=run[f"x_{x}"],
            y=run[metric],
            mode="lines",
            name=f"{name}, training sample",
            legendgroup=f"{name} train",
            showlegend=number == 0,
            line={"color": colour, "width": 1.5, "dash": "dash"},
            opacity=0.7,
            hovertemplate=f"{name}, training sample<br>%{{y}}<extra></extra>",
        )


def _add_mean(made: go.Figure, mean: pd.DataFrame, name: str, colour: str, marks: str) -> None:
    made.add_scatter(
        x=mean["x"],
        y=mean["value"],
        mode=marks,
        name=f"{name} (mean of {mean['n'].iloc[0]})",
        legendgroup=name,
        line={"color": colour, "width": 3},
        customdata=mean[["n"]],
        hovertemplate=f"{name}<br>mean of %{{customdata[0]}} seeds: %{{y}}<extra></extra>",
    )


Segment = tuple[float, float, str, float]
"""A phase on the x axis: its beginning, its end, what trains, the learning rate."""


def _segments(spent: pd.DataFrame, key: ArmKey, x: str) -> list[Segment]:
    """An arm's phases so far; places in images or seconds are means over its seeds."""
    arm = _of_arm(spent, key)
    ends = arm.groupby(["run", "phase"], sort=True)[f"x_{x}"].max().groupby("phase").mean()
    facts = arm.groupby("phase").agg({"trainable": "first", "learning_rate": "first"})
    begins = [0.0, *ends.iloc[:-1]]
    return [
        (float(begin), float(end), str(trainable), float(learning_rate))
        for begin, end, (trainable, learning_rate) in zip(
            begins, ends, facts.to_numpy(), strict=True
        )
    ]


def _add_phases(
    made: go.Figure,
    segments: dict[ArmKey, list[Segment]],
    names: dict[ArmKey, str],
    colours: dict[ArmKey, str],
) -> None:
    shared = len({tuple(one) for one in segments.values()}) == 1
    if shared:
        for begin, end, trainable, learning_rate in next(iter(segments.values())):
            made.add_vrect(
                x0=begin,
                x1=end,
                fillcolor=phase_colour(trainable),
                opacity=0.22,
                line_width=0,
                layer="below",
                annotation_text=f"{_what(trainable)} {rate(learning_rate)}",
                annotation_position="top left",
                annotation_font_size=12,
            )
    else:
        _add_rows(made, segments, names, colours)
    for key, phases in segments.items():
        for begin, *_ in phases[1:]:
            made.add_vline(x=begin, line={"color": colours[key], "width": 1.5, "dash": "dot"})


def _add_rows(
    made: go.Figure,
    segments: dict[ArmKey, list[Segment]],
    names: dict[ArmKey, str],
    colours: dict[ArmKey, str],
) -> None:
    """A row of phases per arm, beneath the curves on the same x axis."""
    below = ROW * len(segments)
    scale = 1 - below - 0.04
    made.update_layout(
        yaxis={"domain": [1 - scale, 1]},
        yaxis2={
            "domain": [0, below],
            "anchor": "x",
            "tickvals": list(range(len(segments))),
            "ticktext": [names[key] for key in segments],
            "range": [len(segments) - 0.45, -0.55],
            "fixedrange": True,
            "showgrid": False,
            "automargin": True,
        },
        xaxis={"anchor": "y2"},
        height=430 + 26 * len(segments),
    )
    # An axis without a trace of its own is not drawn.
    made.add_scatter(
        x=[0],
        y=[0],
        yaxis="y2",
        mode="markers",
        marker={"opacity": 0},
        showlegend=False,
        hoverinfo="skip",
    )
    for row, (key, phases) in enumerate(segments.items()):
        for begin, end, trainable, learning_rate in phases:
            made.add_shape(
                type="rect",
                yref="y2",
                x0=begin,
                x1=end,
                y0=row - 0.4,
                y1=row + 0.4,
                fillcolor=phase_colour(trainable),
                line={"width": 2, "color": translucent(colours[key], 0.9)},
                label={
                    "text": f"{_what(trainable)} {rate(learning_rate)}",
                    "font": {"color": ON_PHASE, "size": 11},
                },
            )


def _what(trainable: str) -> str:
    return {"head": "Head", "all": "All layers"}.get(trainable, trainable.capitalize())
