"""A Section: a finding with its figure, numbers, table, pictures and words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from tl_engine.analysis.predictions import Predictions, once_each
from tl_engine.charts.html_pictures import Predicted, Thumbnail, thumbnails
from tl_engine.charts.style import titles_of, with_line
from tl_engine.data.sources import load
from tl_engine.data.splits import published_validation
from tl_engine.report.arms import Arm

Numbers = pd.DataFrame | Callable[[], pd.DataFrame]


class Drawing(NamedTuple):
    """A figure that is made when it is asked for, and can be cached by what it is made from.

    Attributes:
        chart: a function of `charts`, with its arguments.
        cost: what the runs in it cost, for under the title; empty for nothing.
    """

    chart: Callable[..., go.Figure]
    arguments: tuple[Any, ...]
    cost: str = ""

    def figure(self) -> go.Figure:
        """Make it."""
        made = self.chart(*self.arguments)
        return with_line(made, self.cost) if self.cost else made


class Pictures(NamedTuple):
    """Images of a published validation split, each once, in the order in which they are seen.

    Attributes:
        arms: whose predictions stand under each image.
        predictions: of each arm, row by row of the same images.
        rows: (k,) positions in the predictions.
        notes: (k,) a word under each image, or "".
        counted: predictions that these images stand for; more than k where several seeds have one.
    """

    arms: Sequence[Arm]
    predictions: Sequence[Predictions]
    rows: np.ndarray
    notes: Sequence[str]
    counted: int

    def html(self, begin: int = 0, end: int | None = None) -> str:
        """A grid of the images from `begin` to before `end`."""
        described = self.arms[0].recipe.described_dataset
        images, names = published_validation(load(described.name)).images, described.class_names
        of_first = self.predictions[0]
        shown = [
            Thumbnail(
                np.asarray(images[of_first.indices[row]]),
                names[of_first.labels[row]],
                tuple(
                    Predicted(arm.colour, arm.title, names[of.predicted[row]], of.confidences[row])
                    for arm, of in zip(self.arms, self.predictions, strict=True)
                ),
                note,
            )
            for row, note in zip(self.rows[begin:end], self.notes[begin:end], strict=True)
        ]
        return thumbnails(shown)


def pictures(
    arms: Sequence[Arm],
    predictions: Sequence[Predictions],
    positions: np.ndarray,
    most: int | None = None,
) -> Pictures:
    """The images at these positions (m,) of the predictions, each once; only the first `most`."""
    rows, times, seeds = once_each(predictions[0], positions)
    notes = [f"in {n} of {m} pairs" if m > 1 else "" for n, m in zip(times, seeds, strict=True)]
    return Pictures(arms, predictions, rows[:most], notes[:most], len(positions))


@dataclass(frozen=True, kw_only=True)
class Section:
    """A finding. All words are plain text: whoever draws them escapes them.

    Attributes:
        key: names it on its page, and its files.
        title: a heading of its own; a figure bears its title and subtitle itself.
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
    key: str, alt: str, drawing: Drawing, *, numbers: Numbers | None = None, **words: Any
) -> Section:
    """A Section of a figure, with further attributes as `words`; its numbers are, by default, the
    first argument of its chart."""
    numbers = drawing.arguments[0] if numbers is None else numbers
    return Section(key=key, alt=alt, drawing=drawing, numbers=numbers, **words)


def note(key: str, words: str) -> list[Section]:
    """A paragraph alone: what limits other sections, or why there are none yet and when there will
    be."""
    return [Section(key=key, notes=(words,))]
