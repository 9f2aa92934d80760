"""Final scores: every seed a point, no claim."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.arm_style import NAMED_ARMS, ArmKey, ArmRows, arm_names, arms_in, seeds_of
from tl_engine.charts.style import NEUTRAL, add_silent_line, figure, hover, say_empty, translucent

LEAST_RANGE = 0.04
"""The axis spans at least four percentage points."""
MOST_COLUMNS = 6
"""Arms that stand side by side; more lie one above another."""
ROW, BELOW = 30, 60
"""Heights in pixels: of a row, and of the axis below the rows."""
LONGEST_TICK = 26
"""Letters of an arm's name beside its points, on each of two lines; the whole name is in the hover
text."""


def final_scores(table: pd.DataFrame, arms: Sequence[ArmKey] = ()) -> go.Figure:
    """A point per run and a bar at the mean of each arm; with two arms of one study, a thin line
    joins the points of a pair. The arms stand in columns, many of them lie in rows.

    Args:
        table: as `analysis.score_table.score_table` gives it; runs without a score are left out.
        arms: all arms of the page, in their order, for their colours.
    """
    table = table.dropna(subset="final")
    drawn = arms_in(table, arms)
    keys = [arm.key for arm in drawn]
    made = figure("After the last epoch", _subtitle(table), margin_t=96)
    if table.empty:
        return say_empty(made, "It is drawn when the first run has finished.")
    in_rows = len(drawn) > MOST_COLUMNS
    _lay_out(made, keys, _range(table["final"]), in_rows=in_rows)
    if len(keys) == 2 and keys[0][0] == keys[1][0]:
        _join_pairs(made, table, [keys[0][1], keys[1][1]])
    return _add_arms(made, drawn, *(("y", "x", 0.3) if in_rows else ("x", "y", 0.2)))


def _subtitle(table: pd.DataFrame) -> str:
    words = f"validation accuracy, {seeds_of(table)}<br>one point per seed, bar = mean"
    if table["epoch"].nunique() > 1:  # so that nobody compares them
        epochs = f"{table['epoch'].min()} to {table['epoch'].max()}"
        words += f"<br>the runs stand at different epochs, {epochs}"
    return words


def _add_arms(
    made: go.Figure, drawn: Sequence[ArmRows], along: str, score: str, half: float
) -> go.Figure:
    """Draw the points of arms that stand along one axis, and bars of that half length at means."""
    means = []
    for place, arm in enumerate(drawn):
        _add_points(made, {along: [place] * len(arm.rows), score: arm.rows["final"]}, arm, score)
        if len(arm.rows) > 1:
            mean, line = arm.rows["final"].mean(), {"color": arm.colour, "width": 3}
            places = {f"{along}0": place - half, f"{along}1": place + half}
            means.append({f"{score}0": mean, f"{score}1": mean, **places, "line": line})
    # All at once: Plotly copies those that are there for each that is added.
    return made.update_layout(shapes=[{"type": "line", **mean} for mean in means])


def _lay_out(made: go.Figure, keys: list[ArmKey], scores: list[float], *, in_rows: bool) -> None:
    arms: dict[str, Any] = {
        "showgrid": False,
        "tickvals": list(range(len(keys))),
        "ticktext": list(arm_names(keys, LONGEST_TICK).values()),
        "range": [-0.6, len(keys) - 0.4],
        "showticklabels": len(keys) <= NAMED_ARMS,
    }
    values = {"title": "Validation accuracy", "tickformat": ".1%", "range": scores}
    if in_rows:
        arms |= {"range": arms["range"][::-1], "tickfont": {"size": 10}}
        made.update_layout(height=made.layout.margin.t + BELOW + ROW * min(len(keys), NAMED_ARMS))
        made.update_xaxes(values).update_yaxes(arms)
    else:
        made.update_xaxes(arms, title="Arm").update_yaxes(values)


def _range(values: pd.Series) -> list[float]:
    """An axis around the points that never blows a tiny difference up to the whole height."""
    margin = max(LEAST_RANGE - (values.max() - values.min()), 0.0) / 2
    edge = 0.1 * max(values.max() - values.min(), LEAST_RANGE)
    return [values.min() - margin - edge, values.max() + margin + edge]


def _add_points(made: go.Figure, places: dict[str, Any], arm: ArmRows, score: str) -> None:
    made.add_scatter(
        **places,
        mode="markers",
        marker={"color": translucent(arm.colour, 0.7), "size": 10, "line": {"width": 1.5}},
        marker_line_color=arm.colour,
        marker_symbol=arm.symbol,
        name=arm.name,
        showlegend=False,
        customdata=arm.rows[["seed", "epoch", "correct", "total"]],
        hovertemplate=hover(
            f"{arm.name}, pair %{{customdata[0]}}, after epoch %{{customdata[1]}}",
            f"%{{{score}:.1%}}: %{{customdata[2]:,}} of %{{customdata[3]:,}} right",
        ),
    )


def _join_pairs(made: go.Figure, table: pd.DataFrame, arms: list[str]) -> None:
    for _, pair in table.groupby("seed"):
        if len(pair) == 2:
            places = [arms.index(arm) for arm in pair["arm"]]
            line = {"color": translucent(NEUTRAL, 0.6), "width": 1.5}
            add_silent_line(made, places, pair["final"], line)
