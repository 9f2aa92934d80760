"""Learning curves: a thin line per seed, a thick mean per arm, the phases visible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.curves import mean_curves, with_axes
from tl_engine.charts.phases import fitting, layers, rate
from tl_engine.charts.style import (
    NEUTRAL,
    ON_PHASE,
    ArmKey,
    arm_colours,
    arm_names,
    figure,
    phase_colour,
    say_empty,
    seeds_words,
    translucent,
)
from tl_engine.text import markup

METRICS = {"val_accuracy": "Validation accuracy", "val_loss": "Validation loss (cross-entropy)"}
TRAIN = {"val_accuracy": "accuracy", "val_loss": "loss"}
SHOWN = {"val_accuracy": "%{y:.1%}", "val_loss": "%{y:.4f}"}
AXES = {
    "epoch": "Epoch",
    "images": "Training images seen",
    "seconds": "Seconds of training and measuring, nothing computed before",
}
MARKED_EPOCHS = 20
"""Points are marked on curves of at most so many epochs."""
ROW, CURVES = 26, 280
"""Height in pixels of an arm's row of phases, and of the curves above the rows."""
LONGEST_ROW_NAME = 18
"""In letters; the whole name is in the legend."""
NARROWEST = 480
"""Width in pixels that the curves have at least, by which a phase's words are chosen."""


class _Arm(NamedTuple):
    """What is drawn of an arm: its epochs (with x_epoch, x_images, x_seconds) and how."""

    key: ArmKey
    group: str
    name: str
    colour: str
    epochs: pd.DataFrame

    @property
    def seeds(self) -> int:
        return self.epochs["run"].nunique()


def learning_curves(
    history: pd.DataFrame,
    metric: str = "val_accuracy",
    x: str = "epoch",
    show_train: bool = False,
) -> go.Figure:
    """Curves of every run in the history, nothing smoothed.

    Where all arms switch phases at the same places the phases are shaded behind the curves;
    otherwise every arm has a row of its own beneath them. In both cases a dotted line marks each
    switch, in the arm's colour, or in grey where several arms switch there.

    Args:
        metric: "val_accuracy" or "val_loss".
        x: "epoch", "images" or "seconds".
        show_train: add the training sample, dashed.
    """
    arms = _arms(history)
    shown = "validation split and training sample" if show_train else "validation split"
    made = figure(
        METRICS[metric],
        f"{seeds_words(arm.seeds for arm in arms)}, {shown}, not smoothed",
        uirevision="learning curves",
        # A zoom into epochs means nothing in seconds.
        xaxis={"title": AXES[x], "rangemode": "tozero", "uirevision": x},
        yaxis={
            "title": METRICS[metric],
            "tickformat": ".0%" if metric == "val_accuracy" else None,
            "uirevision": metric,
        },
    )
    if not arms:
        return say_empty(made, "The first epoch draws the first point.")
    for arm in arms:
        _add_seeds(made, arm, metric, x)
        if show_train:
            _add_train(made, arm, metric, x)
    means = mean_curves(history, metric, x)
    for arm in arms:
        if arm.seeds > 1:
            ours = (means["study"] == arm.key[0]) & (means["arm"] == arm.key[1])
            _add_mean(made, arm, means[ours], metric)
    _add_phases(
        made,
        [ArmPhases(arm.key[1], arm.name, arm.colour, _segments(arm.epochs, x)) for arm in arms],
    )
    return made


def _arms(history: pd.DataFrame) -> list[_Arm]:
    keys = list(dict.fromkeys(zip(history["study"], history["arm"], strict=True)))
    epochs = dict(iter(with_axes(history).groupby(["study", "arm"])))
    names, colours = arm_names(keys), arm_colours(keys)
    return [
        _Arm(key, f"arm {place}", names[key], colours[key], epochs[key])
        for place, key in enumerate(keys)
    ]


def _mode(points: pd.DataFrame) -> str:
    return "lines+markers" if len(points) <= MARKED_EPOCHS else "lines"


def _add_seeds(made: go.Figure, arm: _Arm, metric: str, x: str) -> None:
    alone = arm.seeds == 1
    for number, (run, epochs) in enumerate(arm.epochs.groupby("run", sort=False)):
        made.add_scatter(
            x=epochs[f"x_{x}"],
            y=epochs[metric],
            uid=markup(f"{metric} {run}"),
            mode=_mode(epochs),
            name=arm.name,
            legendgroup=arm.group,
            showlegend=number == 0 and alone,
            line={"color": arm.colour, "width": 2.5 if alone else 1},
            marker={"size": 6 if alone else 3},
            opacity=1 if alone else 0.45,
            customdata=_words(epochs),
            hovertemplate=f"{arm.name}, pair {epochs['seed'].iloc[0]}<br>%{{customdata}}<br>"
            f"{SHOWN[metric]}<extra></extra>",
        )


def _add_train(made: go.Figure, arm: _Arm, metric: str, x: str) -> None:
    for number, (run, epochs) in enumerate(arm.epochs.groupby("run", sort=False)):
        made.add_scatter(
            x=epochs[f"x_{x}"],
            y=epochs[TRAIN[metric]],
            uid=markup(f"{TRAIN[metric]} {run}"),
            mode=_mode(epochs),
            name=f"{arm.name}, training sample",
            legendgroup=f"{arm.group} train",
            showlegend=number == 0,
            line={"color": arm.colour, "width": 1.5, "dash": "dash"},
            marker={"size": 3},
            opacity=0.7,
            customdata=_words(epochs),
            hovertemplate=f"{arm.name}, pair {epochs['seed'].iloc[0]}, training sample<br>"
            f"%{{customdata}}<br>{SHOWN[metric]}<extra></extra>",
        )


def _add_mean(made: go.Figure, arm: _Arm, mean: pd.DataFrame, metric: str) -> None:
    made.add_scatter(
        x=mean["x"],
        y=mean["value"],
        uid=f"{arm.group} {metric}",
        mode=_mode(mean),
        name=f"{arm.name} (mean of {arm.seeds})",
        legendgroup=arm.group,
        line={"color": arm.colour, "width": 3},
        customdata=mean["epoch"],
        hovertemplate=f"{arm.name}, mean of {arm.seeds} seeds<br>epoch %{{customdata}}<br>"
        f"{SHOWN[metric]}<extra></extra>",
    )


def _words(epochs: pd.DataFrame) -> list[str]:
    """What stands above a point when it is touched."""
    told = epochs[["epoch", "trainable", "learning_rate"]].to_numpy(object)
    return [
        f"epoch {epoch}: {layers(what).lower()} at {rate(speed)}" for epoch, what, speed in told
    ]


class Segment(NamedTuple):
    """A phase on the x axis."""

    begin: float
    end: float
    trainable: str
    learning_rate: float


class ArmPhases(NamedTuple):
    """What is drawn of an arm: its own name, what the figure calls it, its colour, its phases."""

    arm: str
    name: str
    colour: str
    phases: list[Segment]


def _segments(epochs: pd.DataFrame, x: str) -> list[Segment]:
    """An arm's phases so far.

    A switch is where the seeds that have got to the arm's latest phase switched, on average; a
    seed that is still in an earlier phase has no switch to count.

    Args:
        epochs: the arm's history with x_epoch, x_images, x_seconds.
        x: "epoch", "images" or "seconds".
    """
    ends = epochs.groupby(["run", "phase"])[f"x_{x}"].max().unstack()
    switches = ends[ends[ends.columns[-1]].notna()].mean().iloc[:-1]
    places = [0.0, *switches, epochs[f"x_{x}"].max()]
    facts = epochs.groupby("phase")[["trainable", "learning_rate"]].first()
    what = zip(facts["trainable"].astype(str), facts["learning_rate"].astype(float), strict=True)
    return [
        Segment(float(begin), float(end), *fact)
        for begin, end, fact in zip(places[:-1], places[1:], what, strict=True)
    ]


def _add_phases(made: go.Figure, arms: Sequence[ArmPhases]) -> None:
    """Shade the phases where the arms share them, else give each arm a row; mark the switches."""
    longest = max((arm.phases for arm in arms), key=lambda phases: phases[-1].end)
    if all(_is_beginning(arm.phases, longest) for arm in arms):
        _add_shades(made, longest)
    else:
        _add_rows(made, arms, longest[-1].end)
    switches: dict[float, list[str]] = {}
    for arm in arms:
        for phase in arm.phases[1:]:
            switches.setdefault(phase.begin, []).append(arm.colour)
    for place, colours in switches.items():
        colour = colours[0] if len(colours) == 1 else NEUTRAL
        made.add_vline(x=place, line={"color": colour, "width": 1.5, "dash": "dot"})


def _is_beginning(phases: list[Segment], longest: list[Segment]) -> bool:
    """Whether an arm has gone through the same phases, as far as it has come."""
    same = all(
        (one.begin, *one[2:]) == (other.begin, *other[2:])
        for one, other in zip(phases, longest, strict=False)
    )
    return same and len(phases) <= len(longest) and phases[-1].end <= longest[len(phases) - 1].end


def _phase_words(phase: Segment, whole: float) -> str:
    name = layers(phase.trainable).removesuffix(" only")
    short = name.removesuffix(" layers")
    speed = rate(phase.learning_rate)
    room = NARROWEST * (phase.end - phase.begin) / whole if whole else 0.0
    return fitting((f"{name} {speed}", f"{short} {speed}", short), room)


def _add_shades(made: go.Figure, phases: list[Segment]) -> None:
    for phase in phases:
        made.add_vrect(
            x0=phase.begin,
            x1=phase.end,
            fillcolor=phase_colour(phase.trainable),
            opacity=0.22,
            line_width=0,
            layer="below",
            annotation_text=_phase_words(phase, phases[-1].end),
            annotation_position="top left",
            annotation_font_size=12,
        )


def _add_rows(made: go.Figure, arms: Sequence[ArmPhases], whole: float) -> None:
    """A row of phases per arm, beneath the curves on the same x axis."""
    below = ROW * len(arms) / (ROW * len(arms) + CURVES)
    made.update_layout(
        yaxis={"domain": [below + 0.04, 1]},
        yaxis2={
            "domain": [0, below],
            "anchor": "x",
            "tickvals": list(range(len(arms))),
            "ticktext": [markup(arm.arm, LONGEST_ROW_NAME) for arm in arms],
            "range": [len(arms) - 0.45, -0.55],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        xaxis={"anchor": "y2"},
        height=430 + ROW * len(arms),
    )
    for row, arm in enumerate(arms):
        _add_hover(made, row, arm)
        for phase in arm.phases:
            made.add_shape(
                type="rect",
                yref="y2",
                x0=phase.begin,
                x1=phase.end,
                y0=row - 0.4,
                y1=row + 0.4,
                fillcolor=phase_colour(phase.trainable),
                line={"width": 2, "color": translucent(arm.colour, 0.9)},
                label={"text": _phase_words(phase, whole), "font": {"color": ON_PHASE, "size": 11}},
            )


def _add_hover(made: go.Figure, row: int, arm: ArmPhases) -> None:
    """Points that are not seen, but felt; an axis without a trace would not be drawn either."""
    made.add_scatter(
        x=[(phase.begin + phase.end) / 2 for phase in arm.phases],
        y=[row] * len(arm.phases),
        yaxis="y2",
        mode="markers",
        marker={"opacity": 0, "size": 20},
        showlegend=False,
        customdata=[f"{layers(one.trainable)} at {rate(one.learning_rate)}" for one in arm.phases],
        hovertemplate=f"{arm.name}<br>%{{customdata}}<extra></extra>",
    )
