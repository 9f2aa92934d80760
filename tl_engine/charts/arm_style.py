"""How an arm looks and what it is called, the same in every chart of a page; small dots and thin
lines for its seeds, a thick line at their mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from textwrap import wrap
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import ARMS, BELOW, figure, hover, translucent
from tl_engine.text import MAXIMUM_LABEL, counted, markup, plain

DASHES, SYMBOLS = ("solid", "dot", "dashdot"), ("circle", "diamond-open", "cross")
"""What tells arms of one colour apart in curves and scores: the first eight, the next, the next."""
NAMED_ARMS = 24
"""Up to so many arms are named on a chart; of more, each shows its name when it is touched."""
ArmKey = tuple[str, str]
"""An arm among several studies: (study id, arm name)."""


class ArmStyle(NamedTuple):
    """How an arm is drawn: what the page calls it, not escaped, and its colour (hex)."""

    title: str
    colour: str

    @property
    def name(self) -> str:
        """The title, escaped."""
        return markup(self.title)


Arms = Mapping[ArmKey, ArmStyle]


class ArmRows(NamedTuple):
    """An arm of a frame: its name, escaped, its looks, and the rows that belong to it."""

    key: ArmKey
    name: str
    colour: str
    dash: str
    symbol: str
    rows: pd.DataFrame


def arms_in(frame: pd.DataFrame, page: Sequence[ArmKey] = ()) -> list[ArmRows]:
    """The arms of a frame (columns study and arm), in order of appearance.

    Args:
        page: all arms of the page in its order: by them looks are given, so that an arm keeps its
            own where others have nothing to draw.
    """
    keys = list(dict.fromkeys(zip(frame["study"], frame["arm"], strict=True)))
    rows, names = dict(iter(frame.groupby(["study", "arm"]))), arm_names(keys)
    places = {key: place for place, key in enumerate(dict.fromkeys([*page, *keys]))}
    colours = arm_colours(places)
    cycles = [(key, places[key] // len(ARMS) % len(DASHES)) for key in keys]
    return [
        ArmRows(key, names[key], colours[key], DASHES[n], SYMBOLS[n], rows[key])
        for key, n in cycles
    ]


def of_arm(rows: pd.DataFrame, key: ArmKey) -> pd.DataFrame:
    """The rows (columns study and arm) of one arm."""
    return rows[(rows["study"] == key[0]) & (rows["arm"] == key[1])]


def arm_colours(keys: Iterable[Hashable]) -> dict[Any, str]:
    """A colour per arm, in order of appearance; they repeat after eight."""
    return {key: ARMS[i % len(ARMS)] for i, key in enumerate(dict.fromkeys(keys))}


def arm_names(keys: Sequence[ArmKey], letters: int | None = None) -> dict[ArmKey, str]:
    """What to call each arm: its name, on two lines of so many letters where that is said, and on a
    line of its own its study's id where two share a name."""
    arms = Counter(arm for _, arm in keys)
    return {
        (study, arm): (wrapped(arm, letters) if letters else markup(arm))
        + (f"<br>({markup(study, letters or MAXIMUM_LABEL)})" if arms[arm] > 1 else "")
        for study, arm in keys
    }


def wrapped(name: str, letters: int = 16) -> str:
    """A name on two short lines, for beneath a point; cut with an ellipsis."""
    parts = wrap(plain(name), letters, max_lines=2, placeholder="…", break_on_hyphens=False)
    return "<br>".join(map(markup, parts))


def seeds_of(rows: pd.DataFrame, column: str = "run") -> str:
    """How many seeds, which a column tells apart, the arms of these rows have: "3 seeds per arm",
    "1 to 3 seeds per arm"."""
    counts = sorted(set(rows.groupby(["study", "arm"])[column].nunique())) or [0]
    first = f"{counts[0]} to " if len(counts) > 1 else ""
    return f"{first}{counted(counts[-1], 'seed')} per arm"


def arms_figure(title: str, subtitle: str, arms: Arms) -> go.Figure:
    """A figure with a legend at the bottom that has a line for each arm: their names are long."""
    height, above = 380 + 20 * len(arms), 80 + 16 * subtitle.count("<br>")
    return figure(title, subtitle, height=height, margin_t=above, legend=BELOW)


def add_losses(
    made: go.Figure, rows: pd.DataFrame, arms: Arms, along: str, mode: str = "lines+markers"
) -> None:
    """Draw the loss of each arm (`add_lines`), broken where a phase begins; an arm has one entry in
    the legend."""
    for key, arm in arms.items():
        for place, (_, phase) in enumerate(of_arm(rows, key).groupby("phase")):
            add_lines(made, phase, along, "loss", arm, ".4f", legend=place == 0, mode=mode)


def add_lines(
    made: go.Figure,
    rows: pd.DataFrame,
    along: str,
    value: str,
    arm: ArmStyle,
    format: str,
    *,
    legend: bool = True,
    suffix: str = "",
    upright: bool = False,
    mode: str = "lines+markers",
) -> None:
    """A thin line per seed and a thick one at their mean; one line where there is one seed.

    Args:
        along, value: columns; the value is read upwards, or sideways where it is upright.
        format: of the value (d3-format).
        legend: whether the thick line has an entry.
        suffix: behind the arm's name; such lines are dotted and have no entry.
        mode: Plotly's.
    """
    seeds, name, colour = rows["run"].nunique(), f"{arm.name}{suffix}", arm.colour
    axes = ("y", "x") if upright else ("x", "y")
    number, dash = f"%{{{axes[1]}:{format}}}", "dot" if suffix else "solid"
    for _, run in rows.groupby("run") if seeds > 1 else ():
        made.add_scatter(
            **dict(zip(axes, (run[along], run[value]), strict=True)),
            mode=mode,
            marker={"size": 4},
            line={"color": translucent(colour, 0.45), "width": 1, "dash": dash},
            showlegend=False,
            hovertemplate=hover(f"{name}, pair {run['seed'].iloc[0]}", number),
        )
    means = rows.groupby(along)[value].mean()
    mean = f" (mean of {seeds})" if seeds > 1 else ""
    made.add_scatter(
        **dict(zip(axes, (means.index, means), strict=True)),
        mode=mode,
        marker={"size": 7},
        line={"color": colour, "width": 3, "dash": dash},
        name=name,
        showlegend=legend and not suffix,
        hovertemplate=hover(f"{name}{mean}", number),
    )


def add_seeds(
    made: go.Figure, rows: pd.DataFrame, x: Any, y: Any, name: str, look: dict[str, Any], words: str
) -> None:
    """Draw a small dot per row (column seed) with a look (Plotly's marker); when it is touched, the
    escaped name of its arm or setting and the pair stand above the words."""
    made.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker=look,
        showlegend=False,
        customdata=rows["seed"],
        hovertemplate=hover(f"{name}, pair %{{customdata}}", words),
    )
