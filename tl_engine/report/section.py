"""A Section: a finding with its figure, numbers, table, pictures and words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from tl_engine.charts.style import titles_of, with_line
from tl_engine.report.pictures import Pictures

Numbers = pd.DataFrame | Callable[[], pd.DataFrame]


class Drawing(NamedTuple):
    """A figure that is made when it is asked for, and can be cached by what it is made from.

    Attributes:
        chart: a function of `charts`.
        arguments: of that function.
        cost: what the runs in it cost, for under the title; empty for nothing.
    """

    chart: Callable[..., go.Figure]
    arguments: tuple[Any, ...]
    cost: str = ""

    def figure(self) -> go.Figure:
        """Make it."""
        made = self.chart(*self.arguments)
        return with_line(made, self.cost) if self.cost else made


@dataclass(frozen=True, kw_only=True)
class Section:
    """A finding. All words are plain text: whoever draws them escapes them.

    Attributes:
        key: names it on its page, and its files.
        title: a heading of its own; a figure bears its title and subtitle itself.
        drawing: its figure.
        alt: the figure in a sentence, for readers who cannot see it.
        numbers: the frame behind the figure, or what gives it when somebody asks for it.
        text: what it says, in sentences.
        table: of readable values; the index is the first column.
        pictures: the images that it is about.
        notes: what limits it, or why there is nothing yet; each a paragraph.
        method: how it is computed and how to read it.

    Raises:
        ValueError: where it says nothing, or has a figure without alt or numbers.
    """

    key: str
    title: str = ""
    drawing: Drawing | None = None
    alt: str = ""
    numbers: Numbers | None = None
    text: str = ""
    table: pd.DataFrame | None = None
    pictures: Pictures | None = None
    notes: tuple[str, ...] = ()
    method: str = ""

    def __post_init__(self) -> None:
        if self.drawing and not (self.alt and self.numbers is not None):
            raise ValueError(f"The figure of section {self.key} needs an alt text and its numbers.")
        words = (self.title, self.drawing, self.text, self.pictures, self.notes, self.method)
        if not any(words) and self.table is None:
            raise ValueError(f"Section {self.key} says nothing.")

    @property
    def figure(self) -> go.Figure | None:
        """Its figure, made now."""
        return self.drawing.figure() if self.drawing else None

    @property
    def titles(self) -> tuple[str, str]:
        """Title and subtitle (metric, split, number of runs): its own, else those of its figure."""
        made = None if self.title else self.figure
        return titles_of(made) if made else (self.title, "")

    def frame(self) -> pd.DataFrame | None:
        """The numbers behind its figure."""
        return self.numbers() if callable(self.numbers) else self.numbers


def charted(
    key: str,
    alt: str,
    chart: Callable[..., go.Figure],
    *arguments: Any,
    cost: str = "",
    numbers: Numbers | None = None,
    **words: Any,
) -> Section:
    """A Section of a figure, in the form of a call of its chart.

    Args:
        arguments: of the chart; the first is the frame that it draws.
        numbers: behind the figure, where they are not that frame.
        words: further attributes of the Section.
    """
    drawing = Drawing(chart, arguments, cost)
    numbers = arguments[0] if numbers is None else numbers
    return Section(key=key, alt=alt, numbers=numbers, drawing=drawing, **words)


def nothing(key: str, why: str) -> list[Section]:
    """In the place of sections that cannot be composed yet: why not, and when they can."""
    return [Section(key=key, notes=(why,))]
