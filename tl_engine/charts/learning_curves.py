"""Learning curves: a thin line per seed, a thick mean per arm, the phases visible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.curve_means import AXES, mean_curves, thinned, with_axes
from tl_engine.charts.arm_style import NAMED_ARMS, ArmKey, ArmRows, arms_in, seeds_of
from tl_engine.charts.phase_rows import add_phases
from tl_engine.charts.style import figure, hover, layers, rate, say_empty
from tl_engine.metric import METRICS, Metric
from tl_engine.text import markup

MARKED_EPOCHS = 20
"""Points are marked on curves of at most so many epochs."""
MOST_POINTS, MOST_OF_A_CURVE, LEAST_OF_A_CURVE = 40_000, 1000, 40
"""Points that a browser draws at once, and of each curve where more would share their pixels."""
DESCRIBED_POINTS = 20_000
"""Up to so many, each shows its phase when it is touched."""


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
    measure, splits = METRICS[metric], 2 if show_train else 1
    curves = max(splits * history["run"].nunique(), 1)
    most = int(np.clip(MOST_POINTS // curves, LEAST_OF_A_CURVE, MOST_OF_A_CURVE))
    is_thinned = history["run"].value_counts().max() > most
    words = f"<br>at most {most:,} points of a curve, its highest and lowest among them"
    drawn = _arms(history, arms, is_described=splits * len(history) <= DESCRIBED_POINTS)
    made = figure(
        measure.title,
        f"{seeds_of(history)}, validation split{' and training sample' if show_train else ''}, "
        f"not smoothed{words if is_thinned else ''}",
        showlegend=len(drawn) <= NAMED_ARMS,
        uirevision="learning curves",
        # A zoom into epochs means nothing in seconds.
        xaxis={"title": AXES[x].title, "rangemode": "tozero", "uirevision": x},
        yaxis={"title": measure.title, "tickformat": measure.curve_tick, "uirevision": metric},
    )
    if not drawn:
        return say_empty(made, "The first epoch draws the first point.")
    for place, arm in enumerate(drawn):
        _add_runs(made, arm, f"arm {place}", measure, x, most, is_training=False)
        if show_train:
            _add_runs(made, arm, f"arm {place}", measure, x, most, is_training=True)
    means = mean_curves(history, metric, x)
    of_arm = dict(iter(means.groupby(["study", "arm"])))
    for place, arm in enumerate(drawn):
        if arm.rows["run"].nunique() > 1:
            _add_mean(made, arm, f"arm {place}", of_arm.get(arm.key, means[:0]), measure)
    add_phases(made, drawn, x)
    return made


def _arms(history: pd.DataFrame, page: Sequence[ArmKey], *, is_described: bool) -> list[ArmRows]:
    """The arms with their epochs, which may say in a column what trained, and how fast."""
    epochs = with_axes(history)
    if is_described:
        phases = zip(epochs["trainable"], epochs["learning_rate"], strict=True)
        trained = [f"{layers(trainable).lower()} at {rate(speed)}" for trainable, speed in phases]
        epochs = epochs.assign(trained=trained)
    of_arm = dict(iter(epochs.groupby(["study", "arm"])))
    return [arm._replace(rows=of_arm[arm.key]) for arm in arms_in(history, page)]


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


def _add_runs(
    made: go.Figure,
    arm: ArmRows,
    group: str,
    metric: Metric,
    x: str,
    most: int,
    *,
    is_training: bool,
) -> None:
    """Draw a curve per run, of the validation split or of the training sample."""
    name, column, dash, is_named = arm.name, metric.name, arm.dash, True
    if is_training:
        name, column, dash = f"{name}, training sample", metric.training, "dash"
        group, width, size, opacity = f"{group} train", 1.5, 3, 0.7
    elif arm.rows["run"].nunique() == 1:
        width, size, opacity = 2.5, 6, 1.0
    else:
        width, size, opacity, is_named = 1.0, 3, 0.45, False
    facts = [fact for fact in ("seed", "epoch", "trained") if fact in arm.rows]
    words = "epoch %{customdata[1]}" + (": %{customdata[2]}" if "trained" in facts else "")
    for number, (mode, epochs) in enumerate(_by_mode(arm.rows, column, most)):
        shown = epochs[facts].fillna({"trained": ""})  # in the empty rows
        made.add_scatter(
            x=epochs[f"x_{x}"],
            y=epochs[column],
            uid=markup(f"{column} {epochs['run'].iloc[0]}"),
            mode=mode,
            name=name,
            legendgroup=group,
            showlegend=is_named and number == 0,
            line={"color": arm.colour, "width": width, "dash": dash},
            marker={"size": size},
            opacity=opacity,
            customdata=shown.to_numpy(object if "trained" in facts else np.float32),
            hovertemplate=hover(
                f"{name}, pair %{{customdata[0]}}", words, f"%{{y:{metric.value}}}"
            ),
        )


def _add_mean(
    made: go.Figure, arm: ArmRows, group: str, mean: pd.DataFrame, metric: Metric
) -> None:
    of_seeds = f"mean of {arm.rows['run'].nunique()}"
    made.add_scatter(
        x=mean["x"],
        y=mean["value"],
        uid=f"{group} {metric.name}",
        mode=_mode(len(mean)),
        name=f"{arm.name} ({of_seeds})",
        legendgroup=group,
        line={"color": arm.colour, "width": 3, "dash": arm.dash},
        customdata=mean["epoch"],
        hovertemplate=hover(
            f"{arm.name}, {of_seeds} seeds", "epoch %{customdata}", f"%{{y:{metric.value}}}"
        ),
    )
