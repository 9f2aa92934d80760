"""Learning curves: a thin line per seed, a thick mean per arm, the phases visible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.curve_means import AXES, mean_curves, thinned, with_axes
from tl_engine.charts.arm_style import NAMED_ARMS, ArmKey, ArmRows, arms_in, seeds_words
from tl_engine.charts.phase_rows import add_phases
from tl_engine.charts.phases import layers, rate
from tl_engine.charts.style import figure, hover, say_empty
from tl_engine.metric import METRICS, Metric
from tl_engine.text import markup

MARKED_EPOCHS = 20
"""Points are marked on curves of at most so many epochs."""
MOST_POINTS, MOST_OF_A_CURVE, LEAST_OF_A_CURVE = 40_000, 1000, 40
"""Points that a browser draws at once, and of each curve where more would share their pixels."""
DESCRIBED_POINTS = 20_000
"""Up to so many, each shows its phase when it is touched."""


class _Detail(NamedTuple):
    """How much of the curves is drawn.

    Attributes:
        most: points of each curve.
        is_described: whether each point shows its phase when it is touched.
        words: what the subtitle says of that.
    """

    most: int
    is_described: bool
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
    measure = METRICS[metric]
    splits = "validation split and training sample" if show_train else "validation split"
    detail = _detail(drawn, 1 + show_train)
    made = figure(
        measure.title,
        f"{seeds_words(map(_seeds, drawn))}, {splits}, not smoothed{detail.words}",
        showlegend=len(drawn) <= NAMED_ARMS,
        uirevision="learning curves",
        # A zoom into epochs means nothing in seconds.
        xaxis={"title": AXES[x].title, "rangemode": "tozero", "uirevision": x},
        yaxis={"title": measure.title, "tickformat": measure.curve_tick, "uirevision": metric},
    )
    if not drawn:
        return say_empty(made, "The first epoch draws the first point.")
    for place, arm in enumerate(drawn):
        _add_seeds(made, arm, f"arm {place}", measure, x, detail)
        if show_train:
            _add_train(made, arm, f"arm {place} train", measure, x, detail)
    means = mean_curves(history, metric, x)
    of_arm = dict(iter(means.groupby(["study", "arm"])))
    for place, arm in enumerate(drawn):
        if _seeds(arm) > 1:
            _add_mean(made, arm, f"arm {place}", of_arm.get(arm.key, means[:0]), measure)
    add_phases(made, drawn, x)
    return made


def _arms(history: pd.DataFrame, page: Sequence[ArmKey]) -> list[ArmRows]:
    epochs = dict(iter(with_axes(history).groupby(["study", "arm"])))
    return [arm._replace(rows=epochs[arm.key]) for arm in arms_in(history, page)]


def _seeds(arm: ArmRows) -> int:
    return arm.rows["run"].nunique()


def _detail(arms: list[ArmRows], splits: int) -> _Detail:
    """What can be seen of the arms' curves, for so many splits."""
    curves = splits * sum(map(_seeds, arms))
    points = splits * sum(len(arm.rows) for arm in arms)
    longest = max((arm.rows.groupby("run").size().max() for arm in arms), default=0)
    most = int(np.clip(MOST_POINTS // max(curves, 1), LEAST_OF_A_CURVE, MOST_OF_A_CURVE))
    words = f"<br>at most {most:,} points of a curve, its highest and lowest among them"
    return _Detail(most, points <= DESCRIBED_POINTS, words if longest > most else "")


def _mode(points: int) -> str:
    return "lines+markers" if points <= MARKED_EPOCHS else "lines"


def _by_mode(epochs: pd.DataFrame, column: str, most: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each way of drawing (Plotly's mode), with the epochs of the curves that are drawn so, one
    curve after another with an empty row in between, at which the line breaks: one trace for all
    costs no more than for one."""
    rows = epochs.reset_index(drop=True)
    values = rows[column].to_numpy(float)
    drawn: dict[str, list[np.ndarray]] = {}
    for run_places in rows.groupby("run", sort=False).indices.values():
        places = np.asarray(run_places)
        curve = drawn.setdefault(_mode(len(places)), [])
        curve += [places[thinned(values[places], most)], np.array([-1])]
    for mode, curves in drawn.items():
        yield mode, rows.reindex(np.concatenate(curves[:-1]))


def _add_seeds(
    made: go.Figure, arm: ArmRows, group: str, metric: Metric, x: str, detail: _Detail
) -> None:
    is_alone = _seeds(arm) == 1
    for mode, epochs in _by_mode(arm.rows, metric.name, detail.most):
        made.add_scatter(
            **_points(epochs, metric.name, x),
            **_hover(epochs, arm.name, metric, detail),
            mode=mode,
            name=arm.name,
            legendgroup=group,
            showlegend=is_alone,
            line={"color": arm.colour, "width": 2.5 if is_alone else 1, "dash": arm.dash},
            marker={"size": 6 if is_alone else 3},
            opacity=1 if is_alone else 0.45,
        )


def _add_train(
    made: go.Figure, arm: ArmRows, group: str, metric: Metric, x: str, detail: _Detail
) -> None:
    name = f"{arm.name}, training sample"
    for number, (mode, epochs) in enumerate(_by_mode(arm.rows, metric.training, detail.most)):
        made.add_scatter(
            **_points(epochs, metric.training, x),
            **_hover(epochs, name, metric, detail),
            mode=mode,
            name=name,
            legendgroup=group,
            showlegend=number == 0,
            line={"color": arm.colour, "width": 1.5, "dash": "dash"},
            marker={"size": 3},
            opacity=0.7,
        )


def _add_mean(
    made: go.Figure, arm: ArmRows, group: str, mean: pd.DataFrame, metric: Metric
) -> None:
    seeds = _seeds(arm)
    made.add_scatter(
        x=mean["x"],
        y=mean["value"],
        uid=f"{group} {metric.name}",
        mode=_mode(len(mean)),
        name=f"{arm.name} (mean of {seeds})",
        legendgroup=group,
        line={"color": arm.colour, "width": 3, "dash": arm.dash},
        customdata=mean["epoch"],
        hovertemplate=hover(
            f"{arm.name}, mean of {seeds} seeds", "epoch %{customdata}", f"%{{y:{metric.value}}}"
        ),
    )


def _points(epochs: pd.DataFrame, column: str, x: str) -> dict[str, Any]:
    uid = markup(f"{column} {epochs['run'].iloc[0]}")
    return {"x": epochs[f"x_{x}"], "y": epochs[column], "uid": uid}


def _hover(epochs: pd.DataFrame, name: str, metric: Metric, detail: _Detail) -> dict[str, Any]:
    """What stands above a point when it is touched."""
    facts = epochs[["seed", "epoch"]].to_numpy(np.float32)
    words = "epoch %{customdata[1]}"
    if detail.is_described:
        facts = np.column_stack([facts.astype(object), _trained(epochs)])
        words += ": %{customdata[2]}"
    lines = f"{name}, pair %{{customdata[0]}}", words, f"%{{y:{metric.value}}}"
    return {"customdata": facts, "hovertemplate": hover(*lines)}


def _trained(epochs: pd.DataFrame) -> list[str]:
    """What trained in each epoch, and how fast; empty for an empty row."""
    facts = epochs[["trainable", "learning_rate"]].to_numpy(object)
    return [
        "" if pd.isna(trainable) else f"{layers(trainable).lower()} at {rate(learning_rate)}"
        for trainable, learning_rate in facts
    ]
