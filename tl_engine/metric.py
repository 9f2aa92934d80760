"""What decides between arms: a Metric, in whose unit differences are said."""

from __future__ import annotations

import math
from typing import NamedTuple


class Metric(NamedTuple):
    """A column of the history that is measured on the validation split after every epoch.

    Attributes:
        name: of the column.
        title: in words.
        unit: of its differences.
        scale: that many units make a difference of 1 in the column.
        digits: decimals of a difference in its unit.
        sign: 1 where higher is better, -1 where lower is.
        smallest: the smallest difference that matters unless a study says another, in the column.
        tick: how charts write a value of the column (d3-format).
    """

    name: str
    title: str
    unit: str
    scale: float
    digits: int
    sign: int
    smallest: float
    tick: str

    @property
    def label(self) -> str:
        """The title without what stands in brackets, for a choice."""
        return self.title.partition(" (")[0]

    def gain(self, difference: float) -> str:
        """A difference in words, such as "+0.40"; positive where the first arm is better."""
        if not math.isfinite(difference):
            return "+∞" if difference > 0 else "-∞"
        said = f"{self.scale * difference:+.{self.digits}f}"
        return said[1:] if not float(said) else said

    def about(self, size: float) -> str:
        """A measured size with its unit, to two digits."""
        return f"{self.scale * size:.2g} {self.unit}"

    def amount(self, size: float) -> str:
        """A size that somebody fixed, with its unit: "0.5 points"."""
        return f"{self.scale * size:.4g} {self.unit}"


METRICS = {
    metric.name: metric
    for metric in (
        Metric("val_accuracy", "Validation accuracy", "points", 100.0, 2, 1, 0.005, ".1%"),
        Metric("val_loss", "Validation loss (cross-entropy)", "nats", 1.0, 4, -1, 0.01, ".3f"),
    )
}
ACCURACY = METRICS["val_accuracy"]
