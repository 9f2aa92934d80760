"""Figures as values: what is drawn, what is said, what a hostile name becomes."""

import re
from html import unescape

import numpy as np
import pandas as pd
import pytest
from skimage.color import deltaE_ciede2000, rgb2lab

from tests.test_analysis import history
from tl_engine.analysis.curve_means import AXES
from tl_engine.analysis.score_table import score_table
from tl_engine.charts import style
from tl_engine.charts.arm_style import arm_colours
from tl_engine.charts.class_scores import per_class
from tl_engine.charts.final_points import final_scores
from tl_engine.charts.heat_maps import confusion_difference, confusion_matrix
from tl_engine.charts.html_pictures import top_bars
from tl_engine.charts.learning_curves import learning_curves
from tl_engine.charts.style import ARMS, NEUTRAL, ON_PHASE, phase_colour
from tl_engine.charts.svg_pictures import phase_label, phases_svg, shares, tree_svg
from tl_engine.text import markup

HOSTILE = ["<b>bold</b>", "<a href='javascript:alert(1)'>x</a>", "x" * 10_000, "\x00\n", "&lt;"]
SEVERAL = history({("a", 1): [0.2, 0.4], ("a", 2): [0.3, 0.5], ("b", 1): [0.4, 0.3]})


def luminance(colour):
    """Relative luminance of a hex colour (WCAG 2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def lines(figure):
    return [t for t in figure.data if t.hoverinfo != "skip"]


@pytest.mark.parametrize("colour", ARMS)
@pytest.mark.parametrize("background", ["#FFFFFF", "#0E1117"])
def test_arms_can_be_seen_in_both_themes(colour, background):
    assert contrast(colour, background) >= 3


@pytest.mark.parametrize("trainable", ["head", "all", "top 2"])
def test_words_on_a_phase_can_be_read(trainable):
    assert contrast(ON_PHASE, phase_colour(trainable)) >= 4.5


def test_an_arm_keeps_its_colour_when_others_join():
    assert arm_colours(["a", "b"])["a"] == arm_colours(["a", "b", "c"])["a"]


def test_a_thin_line_per_seed_and_a_thick_one_for_their_mean():
    seeds, other, mean = lines(learning_curves(SEVERAL))
    assert [line.line.width for line in (seeds, other, mean)] == [1, 2.5, 3]
    assert list(seeds.y) == pytest.approx([0.2, 0.4, np.nan, 0.3, 0.5], nan_ok=True)
    assert list(mean.y) == pytest.approx([0.25, 0.45])
    assert mean.name == "a (mean of 2)"


def test_seeds_of_an_arm_are_not_joined_whatever_they_measured():
    (line, _) = lines(learning_curves(history({("a", 1): [0.2, np.nan], ("a", 2): [0.3, 0.5]})))
    assert list(line.x) == pytest.approx([1, 2, np.nan, 1, 2], nan_ok=True)
    assert [list(told) for told in line.customdata[3:]] == [
        [2, 1, "all layers at 1e-5"],
        [2, 2, "head only at 0.001"],
    ]


def test_of_more_points_than_pixels_the_extremes_are_drawn_and_the_subtitle_says_so():
    values = np.full(1001, 0.5)
    values[[333, 777]] = 0.1, 0.9
    figure = learning_curves(history({("a", 1): values}))
    (line,) = lines(figure)
    assert len(line.x) <= 1000
    assert {(1, 0.5), (334, 0.1), (778, 0.9), (1001, 0.5)} <= set(zip(line.x, line.y, strict=True))
    assert "at most 1,000 points" in figure.layout.title.subtitle.text
    assert "at most" not in learning_curves(history({("a", 1): values[:999]})).to_json()


def test_many_points_tell_their_epochs_only():
    many = {("a", seed): [0.5] * 700 for seed in range(1, 31)}
    (line, _) = lines(learning_curves(history(many)))
    assert line.customdata.dtype.kind == "f"
    assert list(line.customdata[-1]) == [30, 700]


def test_arms_alike_in_name_and_phases_share_a_row():
    parts = [history({("a", 1): [0.2, 0.4]}, study) for study in ("one", "two")]
    other = history({("b", 1): [0.2, 0.4]}).assign(phase=0, trainable="all")
    figure = learning_curves(pd.concat([*parts, other]))
    assert list(figure.layout.yaxis2.ticktext) == ["a", "b"]
    (row,) = [t for t in figure.data if t.yaxis == "y2" and "more" in t.hovertemplate]
    assert "one" in row.hovertemplate and "and 1 more" in row.hovertemplate


@pytest.mark.parametrize(("arms", "named"), [(24, True), (25, False)])
def test_names_of_very_many_arms_are_left_out(arms, named):
    many = history({(f"{n}", 1): [0.2] for n in range(arms)})
    assert learning_curves(many).layout.showlegend is named
    scores = score_table(many, dict.fromkeys(many["run"], 10))
    assert final_scores(scores).layout.yaxis.showticklabels is named


@pytest.mark.parametrize("arms", [6, 7])
def test_scores_of_many_arms_lie_in_rows_whose_names_can_be_read(arms):
    names = [f"Freeze, then fine-tune, then freeze, number {n}" for n in range(arms)]
    table = history({(name, 1): [0.2 + 0.01 * n] for n, name in enumerate(names)})
    figure = final_scores(score_table(table, dict.fromkeys(table["run"], 10)))
    in_rows = arms > 6
    axis = figure.layout.yaxis if in_rows else figure.layout.xaxis
    assert [text.replace("<br>", " ") for text in axis.ticktext] == names
    assert axis.range[0] == (arms - 0.4 if in_rows else -0.6)  # the first row on top
    values = [trace.x if in_rows else trace.y for trace in figure.data]
    assert np.ravel(values) == pytest.approx([0.2 + 0.01 * n for n in range(arms)])


def test_rows_of_phases_stand_for_a_long_legend():
    def layout(arms):
        made = {(f"{n}", 1): [0.2, 0.3] for n in range(arms)}
        curves = history(made)
        return learning_curves(curves.assign(phase=0).where(curves["arm"] != "0", curves)).layout

    assert (layout(8).showlegend, layout(9).showlegend) == (True, False)
    alike = [history({(f"{n}", 1): [0.2, 0.3] for n in range(5)}, study) for study in ("s", "t")]
    shared = pd.concat([*alike, history({("a", 1): [0.2, 0.3]}).assign(phase=0)])
    assert learning_curves(shared).layout.showlegend is True  # a row for two arms names neither


def test_one_seed_has_no_mean():
    assert len(lines(learning_curves(history({("a", 1): [0.2, 0.4]})))) == 1


def test_shared_phases_are_shaded_with_their_switch():
    figure = learning_curves(history({("a", 1): [0.2, 0.4, 0.5]}))
    shades = [s for s in figure.layout.shapes if s.type == "rect"]
    assert [(s.x0, s.x1) for s in shades] == [(0, 1), (1, 3)]
    assert [a.text for a in figure.layout.annotations] == ["All layers 1e-5", "Head 0.001"]
    assert [s.x0 for s in figure.layout.shapes if s.type == "line"] == [1]


def test_arms_with_other_phases_get_a_row_each():
    other = history({("b", 1): [0.2, 0.4]})
    other["phase"], other["trainable"] = 0, "all"
    both = pd.concat([history({("a", 1): [0.2, 0.4]}), other])
    figure = learning_curves(both)
    assert list(figure.layout.yaxis2.ticktext) == ["a", "b"]
    assert len([s for s in figure.layout.shapes if s.yref == "y2"]) == 3


@pytest.mark.parametrize(("x", "places"), [("images", [100, 200]), ("seconds", [2, 4])])
def test_curves_stand_against_what_was_spent(x, places):
    figure = learning_curves(history({("a", 1): [0.2, 0.4]}), x=x)
    assert list(lines(figure)[0].x) == places


def test_an_arm_keeps_its_colour_where_others_have_nothing_to_draw():
    page = (("s", "a"), ("s", "b"))
    alone = SEVERAL[SEVERAL["arm"] == "b"]
    (curve,) = lines(learning_curves(alone, arms=page))
    (points,) = final_scores(score_table(alone, {"s/b-1": 10}), page).data[:1]
    told = pd.DataFrame({"study": "s", "arm": "b", "seed": 1, "class": ["x"], "accuracy": 0.5})
    (dot,) = per_class(told, page).data
    assert curve.line.color == points.marker.line.color == dot.marker.color == ARMS[1]


def test_arms_of_the_same_colour_differ_in_their_lines_and_their_points():
    arms = history({(f"Arm {number}", 1): [0.2, 0.4] for number in range(1, 19)})
    curves = lines(learning_curves(arms))
    assert len({(line.line.color, line.line.dash) for line in curves}) == 18
    points = final_scores(score_table(arms, dict.fromkeys(arms["run"], 10))).data
    assert len({(one.marker.line.color, one.marker.symbol) for one in points}) == 18


@pytest.mark.parametrize(
    "words", ["<b>Bold words</b> " * 9, "word", "", "a" * 90, "x &amp; y " * 20]
)
def test_a_line_under_a_title_is_broken_where_a_telephone_would_cut_it(words):
    plain = style.figure("Title", "one")
    made = style.figure("Title", f"one<br>{words}")
    *_, told = made.layout.title.subtitle.text.split("<br>", 1)
    parts = told.split("<br>")
    assert " ".join(parts).split() == words.split()
    seen = [unescape(re.sub("<[^>]*>", "", part)) for part in parts]
    assert all(len(part) <= 52 or " " not in part for part in seen)
    assert made.layout.margin.t == plain.layout.margin.t + 20 * (len(parts) - 1)


def test_the_training_sample_is_dashed():
    drawn = lines(learning_curves(history({("a", 1): [0.2, 0.4]}), show_train=True))
    assert [line.line.dash for line in drawn] == ["solid", "dash"]


def test_two_arms_of_one_name_are_told_apart():
    both = pd.concat([history({("a", 1): [0.2]}, "one"), history({("a", 1): [0.3]}, "two")])
    assert len({line.name for line in lines(learning_curves(both))}) == 2


def test_loss_that_is_no_number_leaves_a_gap():
    broken = history({("a", 1): [0.2, np.nan, 0.3]})
    assert len(lines(learning_curves(broken))[0].y) == 3


@pytest.mark.parametrize(
    "figure",
    [
        learning_curves(history({})),
        final_scores(score_table(history({}), {})),
        per_class(pd.DataFrame(columns=["study", "arm", "seed", "class", "accuracy"])),
    ],
)
def test_without_data_a_chart_says_so(figure):
    assert len(figure.data) == 0
    assert figure.layout.annotations[0].text


def test_zoom_survives_a_refresh():
    one, other = learning_curves(SEVERAL), learning_curves(SEVERAL[:3])
    assert one.layout.uirevision == other.layout.uirevision


@pytest.mark.parametrize("name", HOSTILE)
def test_names_stay_names(name):
    assert not re.search("[<>]", markup(name))
    assert len(markup(name)) <= 80
    named = history({(name, 1): [0.2, 0.3]})
    counts = np.eye(2, dtype=int)
    for figure in (
        learning_curves(named),
        final_scores(score_table(named, {named["run"][0]: 10})),
        confusion_difference(counts, counts, [name, "b"], name, name),
    ):
        drawn = figure.to_json()
        assert "href" not in drawn.replace("&lt;a href", "")
        assert "<b>" not in drawn
        assert "\\u003cb\\u003e" not in drawn
    bars = top_bars([(name, 0.9)], name, ARMS[0])
    assert re.findall("</?([a-z]+)", bars.replace("&lt;", "")) == re.findall(
        "</?([a-z]+)", top_bars([("cat", 0.9)], "cat", ARMS[0])
    )


def test_a_confusion_matrix_of_several_seeds_says_what_it_counts():
    counts = np.array([[8, 2], [1, 9]])
    titles = [confusion_matrix(counts, "ab", "A", n).layout.title.to_plotly_json() for n in (1, 2)]
    assert "once per seed" not in str(titles[0])
    assert "20 predictions of 2 seeds" in str(titles[1])
    assert "each image is counted once per seed" in str(titles[1])


def test_a_confusion_matrix_shows_images_and_shares():
    counts = np.array([[8, 2], [0, 0]])
    figure = confusion_matrix(counts, ["cat", "dog"], "a")
    assert figure.data[0].z[0].tolist() == [80, 20]
    assert figure.data[0].text[0] == ("8", "2") or list(figure.data[0].text[0]) == ["8", "2"]
    assert "10 predictions" in figure.layout.title.subtitle.text


def test_a_difference_is_symmetric_around_nothing():
    one, other = np.array([[8, 2], [1, 9]]), np.array([[6, 4], [1, 9]])
    trace = confusion_difference(one, other, ["cat", "dog"], "a", "b").data[0]
    assert trace.z[0].tolist() == pytest.approx([20, -20])
    assert (trace.zmin, trace.zmax) == pytest.approx((-20, 20))


def test_pairs_are_joined_when_two_arms_are_shown():
    paired = history({("a", 1): [0.5], ("b", 1): [0.6], ("a", 2): [0.4], ("b", 2): [0.7]})
    figure = final_scores(score_table(paired, dict.fromkeys(paired["run"], 10)))
    joined = [trace for trace in figure.data if trace.mode == "lines"]
    assert [sorted(trace.y) for trace in joined] == [[0.5, 0.6], [0.4, 0.7]]


def test_a_tiny_difference_is_not_blown_up():
    close = history({("a", 1): [0.780], ("b", 1): [0.781]})
    low, high = final_scores(score_table(close, dict.fromkeys(close["run"], 10))).layout.yaxis.range
    assert high - low >= 0.04


def test_classes_that_differ_most_come_first():
    frame = pd.DataFrame(
        [
            ("s", "a", 1, "cat", 0.9),
            ("s", "a", 1, "dog", 0.5),
            ("s", "b", 1, "cat", 0.9),
            ("s", "b", 1, "dog", 0.8),
        ],
        columns=["study", "arm", "seed", "class", "accuracy"],
    )
    assert list(per_class(frame).layout.yaxis.categoryarray) == ["cat", "dog"]


@pytest.mark.parametrize(("truth", "word"), [("cat", "✓ right"), ("dog", "✗ wrong: it is dog")])
def test_right_and_wrong_are_words_and_signs(truth, word):
    drawn = top_bars([("cat", 0.9), ("dog", 0.1)], truth, ARMS[0])
    assert word in drawn
    assert 'aria-label="cat 90.0%, dog 10.0%"' in drawn
    assert re.findall(r"width:([\d.]+)%", drawn) == ["90.00", "10.00"]


def test_without_truth_nothing_is_judged():
    assert not re.search("right|wrong", top_bars([("cat", 0.9)], None, ARMS[0]).split("<div")[0])


def test_a_picture_of_phases_is_as_long_as_their_epochs():
    svg = phases_svg([("all", 2, 1e-5), ("head", 6, 1e-3)])
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]
    assert widths[0] < widths[1]
    assert sum(widths) == pytest.approx(417, abs=0.5)
    assert 'aria-label="All layers · 2 epochs · 1e-5, then Head only · 6 epochs · 0.001"' in svg


def test_a_narrow_segment_has_short_words():
    assert ">Head<" in phases_svg([("head", 1, 1e-3)] * 6)


def test_a_phase_has_words():
    assert phase_label(3, 1, 1e-4) == "Top 3 · 1 epoch · 0.0001"


MACHADO = {
    "protanopia": (
        (0.152286, 1.052583, -0.204868),
        (0.114503, 0.786281, 0.099216),
        (-0.003882, -0.048116, 1.051998),
    ),
    "deuteranopia": (
        (0.367322, 0.860646, -0.227968),
        (0.280085, 0.672501, 0.047413),
        (-0.011820, 0.042940, 0.968881),
    ),
    "tritanopia": (
        (1.255528, -0.076749, -0.178779),
        (-0.078411, 0.930809, 0.147602),
        (0.004733, 0.691367, 0.303900),
    ),
}
"""Linear RGB as eyes without one kind of cone see it (Machado, Oliveira, Fernandes 2009)."""


@pytest.mark.parametrize("eyes", MACHADO)
def test_arms_are_told_apart_by_all_eyes(eyes):
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in ARMS])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(MACHADO[eyes]).T, 0, 1)
    lab = rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))
    distances = deltaE_ciede2000(lab[:, None], lab[None])
    assert distances[~np.eye(len(ARMS), dtype=bool)].min() >= 10


def test_a_name_means_nothing_to_plotly():
    assert markup("%{x} $y$") == "%&#123;x} &#36;y&#36;"
    assert markup('"Anna\'s"') == "&#34;Anna&#39;s&#34;"


def test_a_seed_that_lags_does_not_move_the_switch():
    both = history({("a", 1): [0.2, 0.3, 0.4], ("a", 2): [0.2]})
    both.loc[both["epoch"] == 2, ["phase", "trainable", "learning_rate"]] = [0, "all", 1e-5]
    figure = learning_curves(both)
    assert [s.x0 for s in figure.layout.shapes if s.type == "line"] == [2]


def test_an_arm_that_lags_shares_the_phases_all_the_same():
    figure = learning_curves(history({("a", 1): [0.2, 0.3, 0.4], ("b", 1): [0.2, 0.3]}))
    assert [(s.x0, s.x1) for s in figure.layout.shapes if s.type == "rect"] == [(0, 1), (1, 3)]


def test_a_switch_has_its_arm_s_colour_unless_it_is_several_arms():
    def switches(*arms):
        shapes = learning_curves(history({(arm, 1): [0.2, 0.3] for arm in arms})).layout.shapes
        return [shape.line.color for shape in shapes if shape.type == "line"]

    assert switches("a") == [ARMS[0]]
    assert switches("a", "b") == [NEUTRAL]


def test_a_single_epoch_is_seen():
    drawn = lines(learning_curves(history({("a", 1): [0.2, 0.4], ("a", 2): [0.3]})))
    assert {line.mode for line in drawn} == {"lines+markers"}


def test_long_curves_have_no_markers():
    (line,) = lines(learning_curves(history({("a", 1): [0.2] * 21})))
    assert line.mode == "lines"


@pytest.mark.parametrize(("metric", "shown"), [("val_accuracy", "%{y:.1%}"), ("val_loss", ":.4f")])
def test_a_point_says_more_digits_than_its_axis(metric, shown):
    (line,) = lines(learning_curves(history({("a", 1): [0.2]}), metric))
    assert shown in line.hovertemplate
    assert list(line.customdata[0]) == [1, 1, "all layers at 1e-5"]


def test_a_zoom_into_epochs_does_not_outlive_them():
    epochs, seconds = (learning_curves(SEVERAL, x=x).layout for x in ("epoch", "seconds"))
    assert epochs.xaxis.uirevision != seconds.xaxis.uirevision
    assert epochs.yaxis.uirevision == seconds.yaxis.uirevision


def test_unequal_numbers_of_seeds_are_said():
    assert "1 to 2 seeds per arm" in learning_curves(SEVERAL).layout.title.subtitle.text


def test_runs_that_stand_at_different_epochs_are_not_silently_compared():
    uneven = history({("a", 1): [0.2, 0.4], ("b", 1): [0.2]})
    subtitle = final_scores(score_table(uneven, dict.fromkeys(uneven["run"], 10))).layout.title
    assert "different epochs, 1 to 2" in subtitle.subtitle.text


def test_a_run_without_a_score_is_no_point():
    broken = history({("a", 1): [0.2], ("b", 1): [np.nan]})
    figure = final_scores(score_table(broken, dict.fromkeys(broken["run"], 10)))
    assert [trace.name for trace in figure.data] == ["a"]


def test_points_of_two_arms_of_one_name_are_told_apart():
    both = pd.concat(
        [history({("a", 1): [0.2]}, "one"), history({("a", 1): [0.3]}, "two")], ignore_index=True
    )
    figure = final_scores(score_table(both, dict.fromkeys(both["run"], 10)))
    assert list(figure.layout.xaxis.ticktext) == ["a<br>(one)", "a<br>(two)"]
    assert not [trace for trace in figure.data if trace.mode == "lines"]


def test_nothing_predicted_is_said():
    none, some = np.zeros((2, 2), dtype=int), np.eye(2, dtype=int)
    for figure in (
        confusion_matrix(none, ["cat", "dog"], "a"),
        confusion_difference(none, some, ["cat", "dog"], "a", "b"),
    ):
        assert len(figure.data) == 0
        assert figure.layout.annotations[0].text


def test_classes_called_by_numbers_stay_names():
    heat = confusion_matrix(np.eye(2, dtype=int), ["7", "1"], "a")
    assert list(heat.layout.xaxis.ticktext) == ["7", "1"]
    frame = pd.DataFrame(
        [("s", "a", 1, "7", 0.9)], columns=["study", "arm", "seed", "class", "accuracy"]
    )
    assert per_class(frame).layout.yaxis.type == "category"


def test_a_right_cell_is_not_called_a_mistake():
    told = confusion_matrix(np.eye(2, dtype=int), ["cat", "dog"], "a").data[0].customdata
    assert (told[0][0][0], told[0][1][0]) == ("cat recognised", "cat taken for dog")


def test_every_chart_has_the_ground_of_its_page():
    for figure in (learning_curves(SEVERAL), confusion_matrix(np.eye(2, dtype=int), "ab", "a")):
        assert figure.layout.plot_bgcolor == "rgba(0,0,0,0)"
        assert figure.layout.paper_bgcolor is None  # Streamlit gives it the page's
        assert figure.layout.font.color is None


def test_top_blocks_are_called_the_same_from_recipe_and_history():
    assert phase_label("top 3", 1, 1e-4) == phase_label(3, 1, 1e-4)


def test_words_that_do_not_fit_are_left_out_of_a_segment_but_not_of_its_label():
    svg = phases_svg([("head", 1, 1e-3)] * 20)
    assert "></text>" in svg
    assert svg.count("Head only") == 20


HEAD_FIRST, ALL_FIRST = ("head", 4, 1e-3), ("all", 2, 1e-5)
THREE = {
    "Freeze only": [("h", HEAD_FIRST)],
    "Freeze, then fine-tune": [("h", HEAD_FIRST), ("ha", ALL_FIRST)],
    "Fine-tune <only>": [("a", ALL_FIRST)],
}


def test_a_tree_draws_what_arms_share_once():
    svg = tree_svg(THREE)
    assert svg.count("<rect") == 3
    assert svg.count("<path") == 1  # from the head down to what follows it
    assert all(f">{name}<" in svg for name in ("Freeze only", "Fine-tune &lt;only&gt;"))
    assert shares(list(THREE.values()))
    assert not shares([[("with adam", HEAD_FIRST)], [("with sgd", HEAD_FIRST)]])  # look alike


def test_a_long_history_is_not_taken_for_another_that_differs_in_one_epoch():
    from tl_engine.report.section import Drawing
    from ui.figures import cached

    long = history({("a", 1): list(np.linspace(0.1, 0.9, 60_000))})
    other = long.copy()
    other.loc[31_000, "val_accuracy"] = 0.95
    first, second = (cached(Drawing(learning_curves, (one,))).data[0].y for one in (long, other))
    assert max(first) < 0.95 == max(second)


def test_a_chart_says_what_its_runs_cost_and_is_drawn_anew_for_other_costs():
    from tl_engine.report.section import Drawing
    from ui.figures import cached

    told = history({("a", 1): [0.1, 0.2]})
    first, second, plain = (
        cached(Drawing(learning_curves, (told,), "a run: 8 steps")),
        cached(Drawing(learning_curves, (told,), "a run: <9> steps")),
        cached(Drawing(learning_curves, (told,))),
    )
    words = [made.layout.title.subtitle.text for made in (first, second, plain)]
    assert words[0].endswith("<br>a run: 8 steps")
    assert words[1].endswith("<br>a run: &lt;9&gt; steps")
    assert words[2] in words[0] and "a run" not in words[2]
    assert first.layout.margin.t > plain.layout.margin.t
    assert (
        first.layout.height - first.layout.margin.t == plain.layout.height - plain.layout.margin.t
    )


@pytest.mark.parametrize(
    ("axis", "places"), [("steps", [4, 8]), ("forward_equivalents", [300, 400])]
)
def test_curves_can_be_drawn_against_what_they_cost(axis, places):
    told = history({("a", 1): [0.1, 0.2]}).assign(
        steps=[4.0, 4.0], forward_equivalents=[300.0, 100.0]
    )
    made = learning_curves(told, x=axis)
    assert list(made.data[0].x) == places
    assert made.layout.xaxis.title.text == AXES[axis].title
