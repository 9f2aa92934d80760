"""Figures behind which pictures lie: what is drawn, what reports a click, what is escaped."""

import re

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from tests.test_charts import HOSTILE
from tl_engine.analysis.calibration import reliability
from tl_engine.analysis.paired_scores import class_deltas
from tl_engine.charts.class_scores import class_differences
from tl_engine.charts.heat_maps import confusion_difference, confusion_matrix
from tl_engine.charts.heatmap_cells import CLICKABLE, clickable
from tl_engine.charts.html_pictures import WIDTH, Predicted, Thumbnail, thumbnails
from tl_engine.charts.image_scores import agreement_matrix, reliability_diagram
from tl_engine.charts.style import ARMS, NEUTRAL

COUNTS = np.array([[70, 10], [5, 15]])
BITS = np.zeros((28, 28, 3), np.uint8)


def confusion(classes=3):
    counts = np.arange(classes**2).reshape(classes, classes)
    return confusion_matrix(counts, [f"c{n}" for n in range(classes)], "a")


def deltas(pairs=5, first=0.2):
    random = np.random.default_rng(1)
    second = random.uniform(0.5, 0.6, (pairs, 3))
    change = np.array([first, -first, 0]) + random.normal(0, 0.01, (pairs, 3)) * [1, 1, 0]
    return class_deltas(second + change, second)


def drawn(frame, names=("cat", "dog", "owl")):
    return class_differences(frame, names, "Head", "All", ("#111111", "#222222"))


def test_who_is_right_is_counted_and_shared():
    made = agreement_matrix(COUNTS, "Head", "All", "pair 3")
    (heat,) = made.data
    assert heat.z.tolist() == [[70, 10], [5, 15]]
    assert heat.text[0][1] == "10<br>10.0 %"
    assert heat.customdata[0][1].tolist() == ["Only Head right", 10]
    assert heat.customdata[1][0].tolist() == ["Only All right", 5]
    assert list(made.layout.yaxis.ticktext) == ["Head<br>right", "Head<br>wrong"]
    said = made.layout.title.subtitle.text.replace("<br>", " ")
    assert "100 predictions, pair 3, validation split" in said


def test_without_a_pair_the_agreement_says_when_it_is_drawn():
    made = agreement_matrix(np.zeros((2, 2), int), "a", "b", "0 pairs")
    assert not made.data
    assert "when a pair has finished" in made.layout.annotations[0].text
    assert not clickable(made).data


def test_every_cell_reports_a_click_and_says_what_the_heat_map_says():
    made = confusion()
    _, points = clickable(made).data
    assert len(made.data) == 1  # figures are shared by all visitors: the copy is another one
    assert list(zip(points.y, points.x, strict=True)) == list(np.ndindex(3, 3))
    assert list(points.customdata[5]) == ["c1 taken for c2", 5, pytest.approx(100 * 5 / 12)]
    assert "%{customdata[2]:.1f}" in points.hovertemplate
    assert "%{z" not in points.hovertemplate
    assert points.marker.opacity == points.selected.marker.opacity == 0


def test_a_class_without_images_has_no_cells_to_click():
    counts = np.array([[1, 2], [0, 0]])
    _, points = clickable(confusion_matrix(counts, ["cat", "dog"], "a")).data
    assert set(points.y) == {0}


def test_the_chosen_cell_has_a_frame():
    assert not clickable(confusion()).layout.shapes
    frames = clickable(confusion(), (2, 0)).layout.shapes
    assert {(s.x0, s.x1, s.y0, s.y1) for s in frames} == {(-0.5, 0.5, 1.5, 2.5)}


@pytest.mark.parametrize(("classes", "traces"), [(CLICKABLE, 2), (CLICKABLE + 1, 1)])
def test_of_very_many_classes_no_cell_could_be_hit(classes, traces):
    assert len(clickable(confusion(classes)).data) == traces


def test_a_difference_wears_the_colours_of_its_arms():
    one, other = np.eye(2, dtype=int) * 4, np.ones((2, 2), int) * 2
    made = confusion_difference(one, other, ["cat", "dog"], "a", "b", ("#111111", "#222222"))
    scale = made.data[0].colorscale
    assert (scale[0][1], scale[-1][1]) == ("#222222", "#111111")
    assert re.search("#111111.*> a says this more often", made.layout.title.subtitle.text)
    usual = confusion_difference(one, other, ["cat", "dog"], "a", "b")
    assert usual.data[0].colorscale[-1][1] == ARMS[0]


def test_a_class_wears_the_colour_of_the_arm_that_knows_it_better():
    made = drawn(deltas())
    assert [(t.name, t.marker.color) for t in made.data] == [
        ("Head more often", "#111111"),
        ("All more often", "#222222"),
        ("equally often", NEUTRAL),
    ]
    assert list(made.layout.yaxis.ticktext) == ["dog", "owl", "cat"]
    (head, everything, same) = made.data
    assert head.x[0] == pytest.approx(20, abs=1)
    assert (head.y[0], everything.y[0], same.y[0]) == (2, 0, 1)


def test_what_holds_among_all_classes_is_filled_and_counted():
    made = drawn(deltas())
    assert [t.marker.symbol[0] for t in made.data] == ["circle", "circle", "circle-open"]
    assert "5 pairs, validation split" in made.layout.title.subtitle.text
    assert "holds among 3 classes (Holm), 2 do" in made.layout.title.subtitle.text
    assert made.data[0].error_x.array[0] > 0
    assert np.isnan(made.data[2].error_x.array[0])
    assert "every pair shows the same" in made.data[2].customdata[0][3]


def test_few_pairs_have_dots_and_no_intervals():
    made = drawn(deltas(pairs=3))
    assert "no intervals: they take at least 4 pairs" in made.layout.title.subtitle.text
    assert all(np.isnan(t.error_x.array).all() for t in made.data)
    assert all(symbol == "circle-open" for t in made.data for symbol in t.marker.symbol)
    assert made.data[0].customdata[0][3] == "3 pairs"


def test_without_a_pair_class_differences_say_when_they_are_drawn():
    empty = class_deltas(np.empty((0, 3)), np.empty((0, 3)))
    assert "when a pair has finished" in drawn(empty).layout.annotations[0].text


def test_reliability_is_drawn_over_what_a_calibrated_model_would_show():
    confidences = np.array([0.31, 0.32, 0.95, 0.96])
    bins = reliability(confidences, np.array([True, False, True, True]))
    band, diagonal, dots = reliability_diagram(bins, "Head", "#123456", "pair 2").data
    assert list(dots.y) == [0.5, 1]
    assert list(dots.x) == pytest.approx([0.315, 0.955])
    assert dots.line.color == "#123456"
    assert list(band.base + band.y) == bins["high"].tolist()
    assert list(band.x) == pytest.approx([4.5 / 15, 14.5 / 15])
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    said = reliability_diagram(bins, "Head", "#123456", "pair 2").layout.title.subtitle.text
    assert "4 images, pair 2, validation split, last epoch" in said


def test_without_images_reliability_says_when_it_is_drawn():
    bins = pd.DataFrame(columns=["bin", "images", "confidence", "accuracy", "low", "high"])
    made = reliability_diagram(bins, "a", ARMS[0], "pair 1")
    assert "when a run has finished" in made.layout.annotations[0].text


def picture(pixels=BITS, truth="cat", label="dog", model="Head", note=""):
    return Thumbnail(pixels, truth, (Predicted("#123456", model, label, 0.934),), note)


def test_a_thumbnail_says_what_it_is_and_what_was_said():
    made = thumbnails([picture(note="in 2 of 3 pairs"), picture(label="cat")])
    assert made.count("<figure") == made.count("<img") == 2
    assert 'alt="cat; Head said dog"' in made
    assert "✗ dog 93%" in made
    assert "✓ cat 93%" in made
    assert "in 2 of 3 pairs" in made


def test_two_models_are_named_once_above_and_one_is_not():
    both = picture()._replace(
        predicted=(*picture().predicted, Predicted("#654321", "All", "cat", 0.5))
    )
    assert thumbnails([both, both]).count("<p ") == 1
    assert "<p " not in thumbnails([picture()])


@pytest.mark.parametrize(
    ("side", "width", "rendering"),
    [(28, 84, "pixelated"), (32, 96, "pixelated"), (96, 96, "pixelated"), (300, WIDTH, "auto")],
)
def test_small_pictures_are_enlarged_by_a_whole_number(side, width, rendering):
    made = thumbnails([picture(np.zeros((side, side, 3), np.uint8))])
    assert f'width="{width}"' in made
    assert f"image-rendering:{rendering}" in made


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name):
    made = thumbnails([picture(truth=name, label=name, model=name, note=name)] * 2)
    assert not re.search("<b>bold|<a|javascript:alert\\(1\\)'>|x{1000}|\x00", made)
    assert made.count("<img") == 2
    figures: list[go.Figure] = [
        agreement_matrix(COUNTS, name, name, name),
        class_differences(deltas(), [name] * 3, name, name, (ARMS[0], ARMS[1])),
        reliability_diagram(reliability(np.array([0.5]), np.array([True])), name, ARMS[0], name),
        clickable(confusion_matrix(np.eye(2, dtype=int), [name, "b"], name), (0, 0)),
    ]
    for figure in figures:
        assert not re.search("<b>|<a href|x{1000}", str(figure.to_dict()))
