"""Charts of a contrast as values: what is drawn, what is said, what a hostile name becomes."""

import math

import numpy as np
import pandas as pd
import pytest

from tests.test_charts import HOSTILE
from tl_engine.analysis.interval import Interval
from tl_engine.analysis.paired_scores import confidence_fan as fan_of
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.score_table import budget_curve as curve_of
from tl_engine.charts.arm_style import ArmStyle
from tl_engine.charts.confidence_fan import confidence_fan
from tl_engine.charts.cost_curves import budget_curve, frontier
from tl_engine.charts.factors import interaction
from tl_engine.charts.pair_points import paired_slopes
from tl_engine.charts.style import NEUTRAL

FIRST, SECOND = ArmStyle("Fine-tune first", "#7C5CD6"), ArmStyle("Freeze first", "#1B8F6B")
PAIRS = pd.DataFrame(
    {
        "seed": [1, 2, 3, 4],
        "first": [0.70, 0.72, 0.75, 0.71],
        "second": [0.69, 0.73, 0.74, 0.71],
    }
)
ARMS = {("s", "a"): FIRST, ("s", "b"): SECOND}
SCORED = pd.DataFrame(
    {
        "study": "s",
        "arm": ["a", "a", "b", "b"],
        "seed": [1, 2, 1, 2],
        "final": [0.6, 0.8, 0.7, 0.7],
        "cold_seconds": [10.0, 10.0, 20.0, 20.0],
    }
)
COSTS = SCORED.rename(columns={"final": "value", "cold_seconds": "cost"})
GRID = pd.DataFrame(
    {
        "order": ["head > all", "all > head"] * 4,
        "factor": ["pooled-avg"] * 4 + ["softmax"] * 4,
        "seed": [1, 1, 2, 2] * 2,
        "value": [0.7, 0.8, 0.9, 0.8, 0.7, 0.2, 0.7, 0.4],
    }
)


def slopes(pairs=PAIRS, interval=None, first=FIRST, second=SECOND):
    pairs = pairs.assign(gain=pairs["first"] - pairs["second"])
    return paired_slopes(pairs, first, second, interval, 0.005, "4 pairs, validation split")


def rows_of(values):
    return fan_of(Pairs(np.array(values), "A", "B"))


def fan(values, planned=10, first="A", second="B"):
    words = f"{len(values)} pairs"
    return confidence_fan(rows_of(values), first, second, 0.005, planned, words)


def traces(figure, axis=None):
    return [t for t in figure.data if t.hoverinfo != "skip" and (t.yaxis or None) == axis]


def said(figure):
    return f"{figure.layout.title.text} {figure.layout.title.subtitle.text}"


def test_a_slope_per_pair_in_the_colour_of_the_arm_that_is_ahead():
    ahead, behind, level = traces(slopes())
    assert [t.line.color for t in (ahead, behind, level)] == [
        *(s.colour for s in (FIRST, SECOND)),
        NEUTRAL,
    ]
    assert [t.name for t in (ahead, behind, level)] == [
        "Fine-tune first ahead (2)",
        "Freeze first ahead (1)",
        "level (1)",
    ]
    assert list(ahead.x) == pytest.approx([0, 1, np.nan, 0, 1, np.nan], nan_ok=True)
    assert list(ahead.y) == pytest.approx([0.7, 0.69, np.nan, 0.75, 0.74, np.nan], nan_ok=True)


def test_beside_them_the_differences_and_their_mean_with_its_interval():
    *dots, mean = traces(slopes(interval=Interval(-0.01, 0.02)), "y2")
    assert sorted(y for t in dots for y in t.y) == pytest.approx([-1, 0, 1, 1])
    assert list(mean.y) == pytest.approx([0.25])
    assert mean.error_y.array[0] == pytest.approx(1.75)
    assert mean.error_y.arrayminus[0] == pytest.approx(1.25)


@pytest.mark.parametrize("interval", [None, Interval(-math.inf, math.inf)])
def test_where_no_interval_is_known_none_is_drawn(interval):
    mean = traces(slopes(interval=interval), "y2")[-1]
    assert mean.error_y.array is None
    assert ("infinite yet" in said(slopes(interval=interval))) == (interval is not None)


def test_the_band_is_what_does_not_matter_on_the_differences_own_scale():
    band, zero = slopes().layout.shapes
    assert (band.y0, band.y1, band.yref) == (-0.5, 0.5, "y2")
    assert (zero.y0, zero.yref) == (0, "y2")
    assert "0.5 points that matter" in said(slopes())


def test_the_fan_has_a_band_where_it_is_finite_only():
    values = [0.01, 0.02, 0.0, 0.015, 0.01, 0.012]
    figure = fan(values)
    (line,) = traces(figure)
    assert list(line.x) == [2, 3, 4, 5, 6]
    (band,) = [t for t in figure.data if t.hoverinfo == "skip"]
    assert set(band.x) == {6}
    assert line.customdata[0] == "no interval yet" and "to" in line.customdata[-1]
    assert [s.y0 for s in figure.layout.shapes if s.y0 == s.y1] == [0, 0.5, -0.5]
    assert [a.text for a in figure.layout.annotations] == ["10 planned"]
    assert figure.layout.xaxis.range[1] == 10.5


def test_a_fan_with_more_pairs_than_planned_shows_them_all():
    assert fan([0.01, 0.02, 0.0, 0.015], planned=2).layout.xaxis.range[1] == 4.5


def test_the_budget_curve_says_that_it_is_a_best_of():
    figure = budget_curve(curve_of(SCORED), ARMS, at=15)
    one, other = figure.data
    assert list(one.x) == [10, 20] and list(one.y) == pytest.approx([0.7, 0.75])
    assert one.line.shape == "hv" and one.line.color == FIRST.colour
    assert list(other.y) == pytest.approx([0.7, 0.7])
    assert [s.x0 for s in figure.layout.shapes] == [15]
    assert "best of k" in said(figure) and "2 seeds per arm" in said(figure)


def test_arms_that_another_beats_are_named_faintly_and_left_out_of_the_stairs():
    worse = COSTS.assign(value=[0.6, 0.8, 0.5, 0.5])
    figure = frontier(worse, ARMS, "Seconds")
    stairs, _, best, _, beaten = figure.data
    assert list(zip(stairs.x, stairs.y, strict=True)) == [
        (10, pytest.approx(0.7)),
        (20, pytest.approx(0.7)),
    ]
    assert best.name == FIRST.title and NEUTRAL in beaten.name
    assert best.marker.color == FIRST.colour and beaten.marker.color != SECOND.colour


def test_a_line_per_level_through_its_means_and_a_dot_per_seed():
    figure = interaction(GRID, "head input", "2 seeds per arm, validation split")
    dots, pooled, _, softmax = figure.data
    assert list(pooled.y) == pytest.approx([0.8, 0.8])
    assert list(softmax.y) == pytest.approx([0.7, 0.3])
    assert len(dots.y) == 4
    assert pooled.marker.symbol != softmax.marker.symbol
    assert [t.name for t in figure.data if t.showlegend] == ["pooled-avg", "softmax"]


def test_a_third_factor_has_a_facet_per_level_and_each_level_one_legend():
    grid = pd.concat(
        [GRID.assign(facet="adapt"), GRID[GRID["factor"] == "softmax"].assign(facet="as is")]
    )
    figure = interaction(grid, "head input", "2 seeds", facet="BatchNorm")
    assert {t.xaxis for t in figure.data} == {"x", "x2"}
    assert [t.name for t in figure.data if t.showlegend] == ["pooled-avg", "softmax"]
    assert [a.text for a in figure.layout.annotations] == ["BatchNorm: adapt", "BatchNorm: as is"]
    assert figure.layout.xaxis.domain[1] < figure.layout.xaxis2.domain[0]


@pytest.mark.parametrize(
    "figure",
    [
        slopes(PAIRS.iloc[:0]),
        fan([]),
        budget_curve(curve_of(SCORED.iloc[:0]), ARMS),
        frontier(COSTS.iloc[:0], ARMS, "Seconds"),
        interaction(GRID.iloc[:0], "head input", "no seed"),
        interaction(GRID.iloc[:0].assign(facet=""), "head input", "no seed", facet="x"),
    ],
)
def test_nothing_to_draw_is_said(figure):
    assert not figure.data
    assert next(a.text for a in figure.layout.annotations).startswith("It is drawn when")


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_shown_as_what_it_is(name):
    style = ArmStyle(name, FIRST.colour)
    arms = {("s", "a"): style, ("s", "b"): style}
    grid = GRID.assign(order=name, factor=name, facet=name)
    for figure in (
        slopes(first=style, second=style),
        fan([0.01, 0.02], first=name, second=name),
        budget_curve(curve_of(SCORED), arms),
        frontier(COSTS, arms, "Seconds"),
        interaction(grid, name, "words", facet=name),
    ):
        drawn = figure.to_json()
        assert "href" not in drawn.replace("&lt;a href", "")
        assert "<b>" not in drawn and "\\u003cb\\u003e" not in drawn
        assert "x" * 200 not in drawn


def test_the_fan_speaks_of_a_band_only_where_there_is_one_and_of_the_verdict_s_bar():
    def subtitle(values, **options):
        made = confidence_fan(rows_of(values), "A", "B", 0.005, 4, "words", **options)
        return made.layout.title.subtitle.text

    few, many = [0.01, 0.02, 0.0, 0.015], [0.01, 0.02, 0.0, 0.015] * 3
    assert "no band yet" in subtitle(few)
    assert "band: 95 %, however often one looks" in subtitle(many)
    said = subtitle(few, final=Interval(0.0, 0.02))
    assert "no band yet" in said
    assert "bar: the verdict's interval" in said


def test_one_tied_pair_has_axes_round_it():
    tied = pd.DataFrame({"seed": [1], "first": [0.7], "second": [0.7]})
    drawn = slopes(tied)
    assert list(drawn.layout.yaxis.range) == pytest.approx([0.68, 0.72])
    low, high = drawn.layout.yaxis2.range
    assert -1 < low < -0.5 < 0.5 < high < 1  # points


def test_axes_hold_the_whole_of_a_wide_interval():
    low, high = slopes(interval=Interval(-0.2, 0.3)).layout.yaxis2.range
    assert low < -20 < 30 < high
    low, high = fan([0.0, 0.0, 0.0]).layout.yaxis.range
    assert -1 < low < -0.5 < 0.5 < high < 1
