"""The decision rule for one contrast: looks as pairs come in, and a planned analysis at the end.

Where a number of pairs was fixed beforehand the error is split: the confidence sequence decides at
a tenth of the level at every look, also at pairs that were added, the t test of the planned pairs
at 0.95 of it. By addition the two may err at 1.05 times the level; simulated they err less than the
level, for the sequence rarely uses up its share and often errs where the t test does
(`bench.error_rates`). Where no number was fixed, the sequence has the whole level.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tl_engine.analysis.interval import (
    ALPHA,
    LEAST_PAIRS,
    Interval,
    Sample,
    is_strong,
    prior_variance,
    sample_of,
    sequence_limit,
    sequence_p,
    skewness_of,
    t_limit,
    t_p,
)

LOOKS, END = 0.1, 0.95
"""Shares of the level: of all looks together, and of the planned analysis."""


class Procedure(StrEnum):
    """What decided."""

    PLANNED = "paired t interval"
    PLANNED_SKEWED = "interval of the planned pairs that allows for skewness"
    SEQUENCE = "an interval that may be looked at at any time"
    SEQUENCE_SKEWED = "an interval that may be looked at at any time and allows for skewness"


AT_END = (Procedure.PLANNED, Procedure.PLANNED_SKEWED)


class Pairs(NamedTuple):
    """The data of one contrast.

    Attributes:
        differences: (n,) gain of the first arm over the second: every distinct pair that is in, in
            the order in which they were computed.
        first, second: what the arms are called.
        planned: pairs that were fixed before the first was seen; 0 where nobody fixed a number.
        planned_differences: (planned,) those of the planned pairs, where all of them are in and
            none was computed before the question was fixed.
    """

    differences: np.ndarray
    first: str
    second: str
    planned: int = 0
    planned_differences: np.ndarray | None = None

    @property
    def has_end(self) -> bool:
        """Whether a planned analysis will be made, for which part of the error is set aside."""
        return self.planned >= LEAST_PAIRS


class Analysis(NamedTuple):
    """One way in which the rule may decide: by the differences (n,) that it looks at, at its share
    of the level, with the variance of the sequence's prior; None for the planned analysis."""

    values: np.ndarray
    sample: Sample
    share: float
    variance: float | None

    @property
    def procedure(self) -> Procedure:
        """What it is called."""
        if self.variance is None:
            return Procedure.PLANNED_SKEWED if self.sample.skewness else Procedure.PLANNED
        return Procedure.SEQUENCE_SKEWED if self.sample.skewness else Procedure.SEQUENCE

    @property
    def p(self) -> float:
        """Of no difference, over its share of the level; at most 1."""
        variance = self.variance
        p = t_p(self.sample) if variance is None else sequence_p(self.sample, variance)
        return min(1.0, p / self.share)

    def interval(self, alpha: float) -> Interval:
        """It leaves out 0 exactly where p is under `alpha`."""
        pairs, level = len(self.values), self.share * alpha
        if self.variance is None:
            return self.sample.interval(t_limit(pairs, level))
        return self.sample.interval(sequence_limit(pairs, level, self.variance))

    def equivalence_interval(self, alpha: float) -> Interval:
        """What must lie within the margin for two arms to be equivalent: as two one-sided tests do,
        the planned analysis spends the level on each side (Schuirmann 1987)."""
        return self.interval(2 * alpha if self.variance is None else alpha)

    def allowing_for_skew(self) -> Analysis:
        """The same with the skewness allowed for, strong or not."""
        skewness = self.sample.skewness or skewness_of(self.values)
        return self._replace(sample=self.sample._replace(skewness=skewness))


def analyses(pairs: Pairs) -> list[Analysis]:
    """Those that the rule may make now, the one that knows most pairs first; none of under four."""
    made, values = [], np.asarray(pairs.differences, float)
    if len(values) >= LEAST_PAIRS:
        share = LOOKS if pairs.has_end else 1.0
        made.append(Analysis(values, _sample(values), share, variance_of(pairs)))
    if pairs.has_end and pairs.planned_differences is not None:
        values = np.asarray(pairs.planned_differences, float)
        if len(values) != pairs.planned:
            raise ValueError(
                f"{pairs.planned} pairs were planned, and {len(values)} differences are given as "
                "those of the planned pairs: give all of them, or None."
            )
        planned = Analysis(values, _sample(values), END, None)
        made.insert(0 if len(values) >= len(pairs.differences) else 1, planned)
    return made


def p_value(pairs: Pairs) -> float:
    """The p of no difference of the whole rule, valid however often one looks: the smallest of its
    analyses. NaN under 4 pairs; 1 where all pairs differ by the same."""
    return min((analysis.p for analysis in analyses(pairs)), default=float("nan"))


def variance_of(pairs: Pairs) -> float:
    """Of the sequence's prior: chosen from the planned number, never from the data."""
    if pairs.has_end:
        return prior_variance(pairs.planned, LOOKS * ALPHA)
    return prior_variance(LEAST_PAIRS if pairs.planned else 0)


def _sample(values: np.ndarray) -> Sample:
    skewness = skewness_of(values)
    return sample_of(values, skewness if is_strong(skewness, len(values)) else 0.0)
