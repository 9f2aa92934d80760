"""Learning curves: a thin line per seed, a thick mean per arm, the phases visible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.curve_means import AXES, mean_curves, thinned, with_axes
from tl_engine.charts.phases import fitting, layers, rate
from tl_engine.charts.style import (
    ARMS,
    DASHES,
    NAMED_ARMS,
    NEUTRAL,
    ON_PHASE,
    ArmKey,
    arm_colours,
    arm_cycles,
    arm_names,
    figure,
    of_page,
    phase_colour,
    say_empty,
    seeds_words,
    translucent,
    wrapped,
)
from tl_engine.metric import METRICS
from tl_engine.text import markup

SHOWN = {"val_accuracy": "%{y:.1%}", "val_loss": "%{y:.4f}"}
MARKED_EPOCHS = 20
"""Points are marked on curves of at most so many epochs."""
MOST_POINTS, MOST_OF_A_CURVE, LEAST_OF_A_CURVE = 40_000, 1000, 40
"""Points that a browser draws at once, and of each curve where more would share their pixels."""
TOLD_POINTS = 20_000
"""Up to so many, each tells its phase when it is touched."""
ROW, CURVES = 30, 280
"""Height in pixels of a row of phases, and of the curves above the rows."""
LONGEST_ROW_NAME = 26
"""In letters, on each of two lines; the whole name is in the legend."""
NARROWEST = 480
"""Width in pixels that the curves have at least, by which a phase's words are chosen."""


class _Arm(NamedTuple):
    """What is drawn of an arm: its epochs (with x_epoch, x_images and so on) and how."""

    key: ArmKey
    group: str
    name: str
    colour: str
    dash: str
    epochs: pd.DataFrame

    @property
    def seeds(self) -> int:
        return self.epochs["run"].nunique()


class _Detail(NamedTuple):
    """How much of curves is drawn: points of each at most, whether each point tells its phase, and
    what the subtitle says of that."""

    most: int
    is_told: bool
    words: str


def learning_curves(
    history: pd.DataFrame,
    metric: str = "val_accuracy",
    x: str = "epoch",
    show_train: bool = False,
    arms: Sequence[ArmKey] = (),
) -> go.Figure:
    """Curves of every run in the history, nothing smoothed.

    Where all arms switch phases at the same places the phases are shaded behind the curves;
    otherwise every arm has a row beneath them, which it shares with arms of the same name and
    phases. In both cases a dotted line marks each switch, in the arm's colour, or in grey where
    several arms switch there. Of more points than can be seen the extremes are drawn, and the
    subtitle says so.

    Args:
        metric: "val_accuracy" or "val_loss".
        x: one of AXES; for steps and forward-equivalents the history has what each epoch cost.
        show_train: add the training sample, dashed.
        arms: all arms of the page, in their order, for their colours.
    """
    drawn = _arms(history, arms)
    shown = "validation split and training sample" if show_train else "validation split"
    detail = _detail(drawn, 1 + show_train)
    made = figure(
        METRICS[metric].title,
        f"{seeds_words(arm.seeds for arm in drawn)}, {shown}, not smoothed{detail.words}",
        showlegend=len(drawn) <= NAMED_ARMS,
        uirevision="learning curves",
        # A zoom into epochs means nothing in seconds.
        xaxis={"title": AXES[x].title, "rangemode": "tozero", "uirevision": x},
        yaxis={
            "title": METRICS[metric].title,
            "tickformat": "~%" if metric == "val_accuracy" else None,
            "uirevision": metric,
        },
    )
    if not drawn:
        return say_empty(made, "The first epoch draws the first point.")
    for arm in drawn:
        _add_seeds(made, arm, metric, x, detail)
        if show_train:
            _add_train(made, arm, metric, x, detail)
    means = mean_curves(history, metric, x)
    of_arm = dict(iter(means.groupby(["study", "arm"])))
    for arm in drawn:
        if arm.seeds > 1:
            _add_mean(made, arm, of_arm.get(arm.key, means[:0]), metric)
    _add_phases(
        made,
        [
            ArmPhases(arm.key[1], arm.name, arm.colour, arm.dash, _segments(arm.epochs, x))
            for arm in drawn
        ],
    )
    return made


def _arms(history: pd.DataFrame, of_all: Sequence[ArmKey]) -> list[_Arm]:
    keys = list(dict.fromkeys(zip(history["study"], history["arm"], strict=True)))
    epochs = dict(iter(with_axes(history).groupby(["study", "arm"])))
    names, every = arm_names(keys), of_page(keys, of_all)
    colours, cycles = arm_colours(every), arm_cycles(every)
    return [
        _Arm(key, f"arm {place}", names[key], colours[key], DASHES[cycles[key]], epochs[key])
        for place, key in enumerate(keys)
    ]


def _detail(arms: list[_Arm], splits: int) -> _Detail:
    """What can be seen of the arms' curves, for so many splits."""
    curves = splits * sum(arm.seeds for arm in arms)
    points = splits * sum(len(arm.epochs) for arm in arms)
    longest = max((arm.epochs.groupby("run").size().max() for arm in arms), default=0)
    most = int(np.clip(MOST_POINTS // max(curves, 1), LEAST_OF_A_CURVE, MOST_OF_A_CURVE))
    words = f"<br>at most {most:,} points of a curve, its highest and lowest among them"
    return _Detail(most, points <= TOLD_POINTS, words if longest > most else "")


def _mode(points: int) -> str:
    return "lines+markers" if points <= MARKED_EPOCHS else "lines"


def _drawn(epochs: pd.DataFrame, metric: str, most: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """How curves are drawn, and those that are drawn so: their epochs one after another with an
    empty row in between, at which the line breaks; one trace for all costs no more than for one."""
    rows = epochs.reset_index(drop=True)
    values = rows[metric].to_numpy(float)
    drawn: dict[str, list[np.ndarray]] = {}
    for run_places in rows.groupby("run", sort=False).indices.values():
        places = np.asarray(run_places)
        curve = drawn.setdefault(_mode(len(places)), [])
        curve += [places[thinned(values[places], most)], np.array([-1])]
    for mode, curves in drawn.items():
        yield mode, rows.reindex(np.concatenate(curves[:-1]))


def _add_seeds(made: go.Figure, arm: _Arm, metric: str, x: str, detail: _Detail) -> None:
    alone = arm.seeds == 1
    for mode, epochs in _drawn(arm.epochs, metric, detail.most):
        made.add_scatter(
            x=epochs[f"x_{x}"],
            y=epochs[metric],
            uid=markup(f"{metric} {epochs['run'].iloc[0]}"),
            mode=mode,
            name=arm.name,
            legendgroup=arm.group,
            showlegend=alone,
            line={"color": arm.colour, "width": 2.5 if alone else 1, "dash": arm.dash},
            marker={"size": 6 if alone else 3},
            opacity=1 if alone else 0.45,
            **_told(epochs, arm.name, metric, detail),
        )


def _add_train(made: go.Figure, arm: _Arm, metric: str, x: str, detail: _Detail) -> None:
    of_training = metric.removeprefix("val_")
    for number, (mode, epochs) in enumerate(_drawn(arm.epochs, of_training, detail.most)):
        made.add_scatter(
            x=epochs[f"x_{x}"],
            y=epochs[of_training],
            uid=markup(f"{of_training} {epochs['run'].iloc[0]}"),
            mode=mode,
            name=f"{arm.name}, training sample",
            legendgroup=f"{arm.group} train",
            showlegend=number == 0,
            line={"color": arm.colour, "width": 1.5, "dash": "dash"},
            marker={"size": 3},
            opacity=0.7,
            **_told(epochs, f"{arm.name}, training sample", metric, detail),
        )


def _add_mean(made: go.Figure, arm: _Arm, mean: pd.DataFrame, metric: str) -> None:
    made.add_scatter(
        x=mean["x"],
        y=mean["value"],
        uid=f"{arm.group} {metric}",
        mode=_mode(len(mean)),
        name=f"{arm.name} (mean of {arm.seeds})",
        legendgroup=arm.group,
        line={"color": arm.colour, "width": 3, "dash": arm.dash},
        customdata=mean["epoch"],
        hovertemplate=f"{arm.name}, mean of {arm.seeds} seeds<br>epoch %{{customdata}}<br>"
        f"{SHOWN[metric]}<extra></extra>",
    )


def _told(epochs: pd.DataFrame, name: str, metric: str, detail: _Detail) -> dict[str, Any]:
    """What stands above a point when it is touched."""
    told = epochs[["seed", "epoch"]].to_numpy(np.float32)
    words = "epoch %{customdata[1]}"
    if detail.is_told:
        told = np.column_stack([told.astype(object), _words(epochs)])
        words += ": %{customdata[2]}"
    return {
        "customdata": told,
        "hovertemplate": f"{name}, pair %{{customdata[0]}}<br>{words}<br>"
        f"{SHOWN[metric]}<extra></extra>",
    }


def _words(epochs: pd.DataFrame) -> list[str]:
    """What trained in each epoch, and how fast; nothing for an empty row."""
    told = epochs[["trainable", "learning_rate"]].to_numpy(object)
    return [
        "" if pd.isna(what) else f"{layers(what).lower()} at {rate(speed)}" for what, speed in told
    ]


class Segment(NamedTuple):
    """A phase on the x axis."""

    begin: float
    end: float
    trainable: str
    learning_rate: float


class ArmPhases(NamedTuple):
    """What is drawn of an arm: its own name, what the figure calls it, its line, its phases."""

    arm: str
    name: str
    colour: str
    dash: str
    phases: list[Segment]


def _segments(epochs: pd.DataFrame, x: str) -> list[Segment]:
    """An arm's phases so far.

    A switch is where the seeds that have got to the arm's latest phase switched, on average; a
    seed that is still in an earlier phase has no switch to count.

    Args:
        epochs: the arm's history with x_epoch, x_images, x_seconds.
        x: one of AXES; for steps and forward-equivalents the history has what each epoch cost.
    """
    ends = epochs.groupby(["run", "phase"])[f"x_{x}"].max().unstack()
    there = ends[ends[ends.columns[-1]].notna()].mean()
    is_over = epochs.groupby("run")["epoch"].max().nunique() == 1
    # Runs that are equally far end where their mean curve does.
    last = there.iloc[-1] if is_over else epochs[f"x_{x}"].max()
    places = [0.0, *there.iloc[:-1], last]
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
    switches: dict[float, list[ArmPhases]] = {}
    for arm in arms:
        for phase in arm.phases[1:]:
            switches.setdefault(phase.begin, []).append(arm)
    for place, switching in switches.items():
        line = {"color": _colour_of(switching), "width": 1.5, "dash": "dot"}
        made.add_vline(x=place, line=line)


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
    alike: dict[tuple[str, tuple[Segment, ...]], list[ArmPhases]] = {}
    for arm in arms:
        alike.setdefault((arm.arm, tuple(arm.phases)), []).append(arm)
    rows = list(alike.values())
    below = ROW * len(rows) / (ROW * len(rows) + CURVES)
    made.update_layout(
        yaxis={"domain": [below + 0.04, 1]},
        yaxis2={
            "domain": [0, below],
            "anchor": "x",
            "tickvals": list(range(len(rows))),
            "ticktext": [wrapped(row[0].arm, LONGEST_ROW_NAME) for row in rows],
            "tickfont": {"size": 10},
            "range": [len(rows) - 0.45, -0.55],
            "fixedrange": True,
            "showgrid": False,
            "zeroline": False,
            "automargin": True,
        },
        xaxis={"anchor": "y2"},
        height=made.layout.height + ROW * len(rows),
    )
    if len(ARMS) < len(arms) == len(rows):  # a long legend takes the room of rows that tell as much
        made.update_layout(showlegend=False)
    shapes = [
        {
            "type": "rect",
            "yref": "y2",
            "x0": phase.begin,
            "x1": phase.end,
            "y0": place - 0.4,
            "y1": place + 0.4,
            "fillcolor": phase_colour(phase.trainable),
            "line": {
                "width": 2,
                "color": translucent(_colour_of(row), 0.9),
                "dash": row[0].dash if len(row) == 1 else "solid",
            },
            "label": {
                "text": _phase_words(phase, whole),
                "font": {"color": ON_PHASE, "size": 11},
            },
        }
        for place, row in enumerate(rows)
        for phase in row[0].phases
    ]
    made.update_layout(shapes=shapes)  # one by one, each would check all before it again
    for place, row in enumerate(rows):
        _add_hover(made, place, row)


def _colour_of(arms: Sequence[ArmPhases]) -> str:
    """The colour of what belongs to one arm, or to several."""
    return arms[0].colour if len(arms) == 1 else NEUTRAL


def _add_hover(made: go.Figure, row: int, arms: Sequence[ArmPhases]) -> None:
    """Points that are not seen, but felt; an axis without a trace would not be drawn either."""
    arm, others = arms[0], f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    made.add_scatter(
        x=[(phase.begin + phase.end) / 2 for phase in arm.phases],
        y=[row] * len(arm.phases),
        yaxis="y2",
        mode="markers",
        marker={"opacity": 0, "size": 20},
        showlegend=False,
        customdata=[f"{layers(one.trainable)} at {rate(one.learning_rate)}" for one in arm.phases],
        hovertemplate=f"{arm.name}{others}<br>%{{customdata}}<extra></extra>",
    )
