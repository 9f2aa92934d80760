"""The phases of arms in a chart of curves: shades behind the curves, or a row per arm beneath them,
and a dotted line at each switch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import ArmRows, wrapped
from tl_engine.charts.style import (
    ARMS,
    NEUTRAL,
    ON_PHASE,
    fitting,
    hover,
    layers,
    phase_colour,
    rate,
    translucent,
)

ROW, CURVES = 30, 280
"""Height in pixels of a row of phases, and of the curves above the rows."""
LONGEST_ROW_NAME = 26
"""In letters, on each of two lines; the whole name is in the legend."""


class Segment(NamedTuple):
    """A phase on the x axis."""

    begin: float
    end: float
    trainable: str
    learning_rate: float


Phases = tuple[Segment, ...]


def add_phases(made: go.Figure, arms: Sequence[ArmRows], x: str) -> None:
    """Shade the phases where the arms, at least one, share them, else give each arm a row; mark the
    switches. The arms have their epochs as `analysis.curve_means.with_axes` returns them, and x is
    one of AXES there."""
    phases = [_phases(arm.rows, x) for arm in arms]
    longest = max(phases, key=lambda of_arm: of_arm[-1].end)
    if all(_is_beginning(of_arm, longest) for of_arm in phases):
        _add_shades(made, longest)
    else:
        _add_rows(made, arms, phases, longest[-1].end)
    switches: dict[float, list[ArmRows]] = {}
    for arm, of_arm in zip(arms, phases, strict=True):
        for phase in of_arm[1:]:
            switches.setdefault(phase.begin, []).append(arm)
    for place, switching in switches.items():
        made.add_vline(place, line={"color": _colour(switching), "width": 1.5, "dash": "dot"})


def _phases(epochs: pd.DataFrame, x: str) -> Phases:
    """An arm's phases so far.

    A switch is where the seeds that have got to the arm's latest phase switched, on average; a
    seed that is still in an earlier phase has no switch to count.
    """
    ends = epochs.groupby(["run", "phase"])[f"x_{x}"].max().unstack()
    means = ends[ends[ends.columns[-1]].notna()].mean()
    is_over = epochs.groupby("run")["epoch"].max().nunique() == 1
    # Runs that are equally far end where their mean curve does.
    last = means.iloc[-1] if is_over else epochs[f"x_{x}"].max()
    places = [0.0, *means.iloc[:-1], last]
    facts = epochs.groupby("phase")[["trainable", "learning_rate"]].first()
    return tuple(map(Segment, places, places[1:], facts["trainable"], facts["learning_rate"]))


def _is_beginning(phases: Phases, longest: Phases) -> bool:
    """Whether an arm has gone through the same phases, as far as it has come."""
    same = all(
        phase._replace(end=0) == other._replace(end=0)
        for phase, other in zip(phases, longest, strict=False)
    )
    return same and len(phases) <= len(longest) and phases[-1].end <= longest[len(phases) - 1].end


def _words(phase: Segment, whole: float) -> str:
    name = layers(phase.trainable).removesuffix(" only")
    short, speed = name.removesuffix(" layers"), rate(phase.learning_rate)
    # The curves are at least 480 pixels wide.
    room = 480 * (phase.end - phase.begin) / whole if whole else 0.0
    return fitting((f"{name} {speed}", f"{short} {speed}", short), room)


def _add_shades(made: go.Figure, phases: Phases) -> None:
    for phase in phases:
        made.add_vrect(
            x0=phase.begin,
            x1=phase.end,
            fillcolor=phase_colour(phase.trainable),
            opacity=0.22,
            line_width=0,
            layer="below",
            annotation_text=_words(phase, phases[-1].end),
            annotation_position="top left",
            annotation_font_size=12,
        )


def _add_rows(
    made: go.Figure, arms: Sequence[ArmRows], phases: Sequence[Phases], whole: float
) -> None:
    """A row of phases per arm, beneath the curves on the same x axis; arms of the same name and
    phases share one."""
    rows: dict[tuple[str, Phases], list[ArmRows]] = {}
    for arm, of_arm in zip(arms, phases, strict=True):
        rows.setdefault((arm.key[1], of_arm), []).append(arm)
    below = ROW * len(rows) / (ROW * len(rows) + CURVES)
    made.update_layout(
        yaxis={"domain": [below + 0.04, 1]},
        yaxis2={
            "domain": [0, below],
            "anchor": "x",
            "tickvals": list(range(len(rows))),
            "ticktext": [wrapped(name, LONGEST_ROW_NAME) for name, _ in rows],
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
    shapes = []
    for row, ((_, of_row), in_row) in enumerate(rows.items()):
        shapes += [_box(phase, row, in_row, whole) for phase in of_row]
        _add_hover(made, row, in_row, of_row)
    made.update_layout(shapes=shapes)  # one by one, each would check all before it again


def _box(phase: Segment, row: int, arms: Sequence[ArmRows], whole: float) -> dict[str, Any]:
    """A phase in a row, framed in the colour of its arm."""
    dash = arms[0].dash if len(arms) == 1 else "solid"
    return {
        "type": "rect",
        "yref": "y2",
        "x0": phase.begin,
        "x1": phase.end,
        "y0": row - 0.4,
        "y1": row + 0.4,
        "fillcolor": phase_colour(phase.trainable),
        "line": {"width": 2, "color": translucent(_colour(arms), 0.9), "dash": dash},
        "label": {"text": _words(phase, whole), "font": {"color": ON_PHASE, "size": 11}},
    }


def _colour(arms: Sequence[ArmRows]) -> str:
    """The colour of what belongs to one arm, or to several."""
    return arms[0].colour if len(arms) == 1 else NEUTRAL


def _add_hover(made: go.Figure, row: int, arms: Sequence[ArmRows], phases: Phases) -> None:
    """Add invisible points that show words when touched; an axis without a trace would not be drawn
    either."""
    others = f" and {len(arms) - 1} more" if len(arms) > 1 else ""
    made.add_scatter(
        x=[(phase.begin + phase.end) / 2 for phase in phases],
        y=[row] * len(phases),
        yaxis="y2",
        mode="markers",
        marker={"opacity": 0, "size": 20},
        showlegend=False,
        customdata=[f"{layers(one.trainable)} at {rate(one.learning_rate)}" for one in phases],
        hovertemplate=hover(f"{arms[0].name}{others}", "%{customdata}"),
    )
