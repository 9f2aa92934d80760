"""What decides between arms: a Metric, in whose unit differences are written."""

from __future__ import annotations

import math
from typing import NamedTuple


class Metric(NamedTuple):
    """A column of the history that is measured on the validation split after every epoch.

    Attributes:
        name: of the column.
        training: column of the same measure on the training sample.
        final: column of a run's last epoch in `analysis.score_table`.
        title, short: in words, and in fewer words.
        unit: of its differences.
        scale: that many units make a difference of 1 in the column.
        digits: decimals of a difference in its unit.
        sign: 1 where higher is better, -1 where lower is.
        smallest: the smallest difference that matters unless a study says another, in the column.
        tick: how charts write a value beside points of single runs (d3-format).
        curve_tick: how charts write a value beside curves (d3-format); None for Plotly's own.
        value: how charts write one value exactly (d3-format).
    """

    name: str
    training: str
    final: str
    title: str
    short: str
    unit: str
    scale: float
    digits: int
    sign: int
    smallest: float
    tick: str
    curve_tick: str | None
    value: str

    def gain(self, difference: float) -> str:
        """A difference in words, such as "+0.40"; positive where the first arm is better."""
        if not math.isfinite(difference):
            return "+∞" if difference > 0 else "-∞"
        words = f"{self.scale * difference:+.{self.digits}f}"
        return words[1:] if not float(words) else words

    def about(self, size: float) -> str:
        """A measured size with its unit, to two digits."""
        return f"{self.scale * size:.2g} {self.unit}"

    def amount(self, size: float) -> str:
        """A size that somebody fixed, with its unit: "0.5 points"."""
        return f"{self.scale * size:.4g} {self.unit}"

    def hover(self, variable: str) -> str:
        """How Plotly writes a difference that is already in the unit, with the unit.

        Args:
            variable: where Plotly finds it, such as "y" or "customdata[3]".
        """
        return f"%{{{variable}:+.{self.digits}f}} {self.unit}"


ACCURACY = Metric(
    name="val_accuracy",
    training="accuracy",
    final="final",
    title="Validation accuracy",
    short="Validation accuracy",
    unit="points",
    scale=100.0,
    digits=2,
    sign=1,
    smallest=0.005,
    tick=".1%",
    curve_tick="~%",
    value=".1%",
)
LOSS = Metric(
    name="val_loss",
    training="loss",
    final="final_loss",
    title="Validation loss (cross-entropy)",
    short="Validation loss",
    unit="nats",
    scale=1.0,
    digits=4,
    sign=-1,
    smallest=0.01,
    tick=".3f",
    curve_tick=None,
    value=".4f",
)
METRICS = {metric.name: metric for metric in (ACCURACY, LOSS)}
