"""Corrupted images: the published constants, the same pixels for both arms, and how they read."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_engine.analysis.interval import confidence_sequence, is_constant, t_interval
from tl_engine.analysis.paired_scores import (
    Robustness,
    mean_accuracy,
    mean_difference,
    paired_scores,
)
from tl_engine.charts.heat_maps import robustness_accuracy, robustness_difference
from tl_engine.data import sources
from tl_engine.data.corruptions import CORRUPTIONS, SAMPLE, SEVERITIES, sample_of
from tl_engine.data.corruptions import corrupted as corrupted_by_index
from tl_engine.data.splits import Split, split

IMAGES = sources.load("fashion-mini")
SOME = np.array(IMAGES.train.images[:16])
COLOUR = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), np.uint8)
HOSTILE = "<b>x</b>" * 9


def corrupted(images, name, severity, **options):
    return corrupted_by_index(images, np.arange(len(images)), name, severity, **options)


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("images", [SOME, COLOUR], ids=["28 px", "32 px"])
def test_more_severe_is_further_from_the_image(name, images):
    made = [corrupted(images, name, severity) for severity in range(1, SEVERITIES + 1)]
    assert all(one.shape == images.shape and one.dtype == np.uint8 for one in made)
    away = [np.abs(one.astype(float) - images).mean() for one in made]
    assert 0 < away[0] < away[-1]


@given(
    name=st.sampled_from(sorted(CORRUPTIONS)),
    severity=st.integers(1, SEVERITIES),
    chosen=st.lists(st.integers(0, 15), min_size=1, max_size=5, unique=True),
)
def test_an_image_is_corrupted_the_same_way_whoever_stands_beside_it(name, severity, chosen):
    whole = corrupted(SOME, name, severity, grey=True)
    part = corrupted_by_index(SOME[chosen], np.array(chosen), name, severity, grey=True)
    assert np.array_equal(part, whole[chosen])
    if name in ("noise", "blur", "contrast", "brightness"):
        assert (part == part[..., :1]).all()  # grey stays grey


def test_noise_has_the_published_deviation_and_differs_from_image_to_image():
    middle = np.full((50, 32, 32, 3), 128, np.uint8)
    for severity, deviation in enumerate((0.04, 0.06, 0.08, 0.09, 0.10), start=1):
        values = corrupted(middle, "noise", severity).astype(float) / 255
        assert values.std() == pytest.approx(deviation, rel=0.02)
        assert not np.array_equal(values[0], values[1])


def test_brightness_adds_to_the_value_and_keeps_the_hue():
    pixel = np.array([[[[100, 50, 0]]]], np.uint8)
    assert corrupted(pixel, "brightness", 5).tolist() == [[[[176, 88, 0]]]]
    black = np.zeros((1, 1, 1, 3), np.uint8)
    assert corrupted(black, "brightness", 2).tolist() == [[[[26, 26, 26]]]]


def test_contrast_shrinks_the_distance_to_each_channels_mean():
    made = corrupted(COLOUR, "contrast", 2).astype(float)
    means = COLOUR.mean(axis=(1, 2), keepdims=True)
    assert np.abs(made - (means + 0.5 * (COLOUR - means))).max() <= 0.5


def test_a_blur_covers_the_same_share_of_a_larger_picture():
    point = np.zeros((1, 32, 32, 3), np.uint8)
    point[:, 15:17, 15:17] = 255
    large = point.repeat(2, axis=1).repeat(2, axis=2)
    small, big = corrupted(point, "blur", 5), corrupted(large, "blur", 5)
    shrunk = big.reshape(1, 32, 2, 32, 2, 3).mean(axis=(2, 4))
    assert np.abs(shrunk - small).max() < 12
    assert big.max() < 255


def test_the_sample_is_the_same_for_all_runs_and_holds_every_class():
    splits = [split(IMAGES, count, seed).validation for count, seed in ((100, 1), (5000, 2))]
    one, other = map(sample_of, splits)
    assert np.array_equal(one.indices, other.indices)
    assert len(one) == SAMPLE
    assert set(np.bincount(one.labels)) == {SAMPLE // 10}
    few = Split(SOME, IMAGES.train.labels[:16], np.arange(16))
    assert len(sample_of(few)) == 16


def answer(clean, shift=0, sample="a"):
    counts = {name: [clean - s - shift for s in range(SEVERITIES)] for name in CORRUPTIONS}
    return Robustness.of({"total": 100, "sample": sample, "clean": clean, "corrupted": counts})


def test_accuracies_are_shares_of_the_sample():
    one = answer(80)
    assert (one.clean, one.corrupted[0, 0], one.corrupted[0, 4]) == (0.8, 0.8, 0.76)
    assert one.mean == pytest.approx(0.78)
    table = mean_accuracy([one, answer(60)])
    assert table.loc["noise", 1] == pytest.approx(0.7)
    assert list(table.columns) == [1, 2, 3, 4, 5]


def test_differences_are_taken_pair_by_pair_on_the_same_images_only():
    cells = mean_difference([answer(80), answer(70)], [answer(78), answer(66)])
    assert cells.to_numpy() == pytest.approx(np.full((6, 5), 0.03))
    with pytest.raises(ValueError, match="same images"):
        mean_difference([answer(80)], [answer(80, sample="b")])


@given(
    st.dictionaries(st.integers(1, 9), st.floats(0, 1)),
    st.dictionaries(st.integers(1, 9), st.floats(0, 1)),
    st.booleans(),
)
def test_only_seeds_that_both_arms_have_are_paired(first, second, all_in):
    seeds = sorted(set(first) & set(second))
    said = paired_scores(first, second, all_in=all_in)
    reverse = paired_scores(second, first, all_in=all_in)
    assert said.pairs == len(seeds)
    differences = np.array([first[seed] - second[seed] for seed in seeds])
    assert (said.interval is None) == (len(seeds) < 4 or is_constant(differences))
    if seeds:
        assert said.difference == pytest.approx(-reverse.difference)
    if said.interval:
        expected = (t_interval if all_in else confidence_sequence)(differences)
        assert said.interval == pytest.approx(expected)


def test_the_map_says_what_it_is_the_mean_of_and_names_are_no_markup():
    cells = mean_difference([answer(80)], [answer(78)])
    made = robustness_difference(cells, 1, 500, HOSTILE, "B")
    assert "<b>" not in made.layout.title.text
    said = made.layout.title.subtitle.text
    assert "mean of 1 pair, 500 images, percentage points" in said
    assert "last epoch" in said
    assert made.data[0].zmin == -made.data[0].zmax == pytest.approx(-2)
    assert list(made.data[0].y) == [corruption.title for corruption in CORRUPTIONS.values()]
    single = robustness_accuracy(mean_accuracy([answer(80)] * 3), 3, 500, "A")
    assert "mean of 3 seeds, 500 images" in single.layout.title.subtitle.text
    assert single.data[0].z[0][0] == pytest.approx(80)


def test_without_answers_the_map_says_when_there_will_be_one():
    empty = mean_accuracy([answer(80)]).iloc[:0]
    for made in (
        robustness_accuracy(empty, 0, 0, "A"),
        robustness_difference(empty, 0, 0, "A", "B"),
    ):
        assert not made.data
        assert "when runs have been measured" in made.layout.annotations[0].text
