"""Class by class: intervals and p as scipy computes them, Holm as he wrote it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from tl_engine.analysis.paired_scores import class_deltas
from tl_engine.analysis.verdict import holm

P = st.lists(st.floats(0, 1) | st.just(float("nan")), max_size=12)


def recalls(seed, pairs=6, classes=3):
    """Recalls of two arms that differ in the first class only."""
    random = np.random.default_rng(seed)
    first = random.uniform(0.6, 0.9, (pairs, classes))
    second = first + random.normal(0, 0.03, (pairs, classes))
    second[:, 0] -= 0.2
    return first, second


def test_interval_and_p_are_those_of_the_paired_t_test():
    first, second = recalls(1)
    frame = class_deltas(first, second)
    for place, row in frame.iterrows():
        known = ttest_rel(first[:, place], second[:, place])
        interval = known.confidence_interval(0.95)
        assert row["p"] == pytest.approx(known.pvalue)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
        assert row["difference"] == pytest.approx(row["first"] - row["second"])
    assert frame["class"].tolist() == [0, 1, 2]
    assert frame["p_holm"].tolist() == pytest.approx(holm(frame["p"].to_numpy()).tolist())


def test_the_other_way_round_only_the_sign_changes():
    one, other = class_deltas(*recalls(2)), class_deltas(*reversed(recalls(2)))
    assert one["difference"].tolist() == pytest.approx((-other["difference"]).tolist())
    assert one["low"].tolist() == pytest.approx((-other["high"]).tolist())
    assert one["p_holm"].tolist() == pytest.approx(other["p_holm"].tolist())


@pytest.mark.parametrize(("pairs", "has"), [(1, False), (3, False), (4, True)])
def test_under_four_pairs_there_is_a_difference_and_no_more(pairs, has):
    frame = class_deltas(*recalls(3, pairs))
    assert frame["difference"].notna().all()
    for column in ("low", "high", "p", "p_holm"):
        assert (frame[column].notna() == has).all()


def test_a_pair_without_images_of_a_class_does_not_count_for_it():
    first, second = recalls(4, pairs=5)
    first[0, 1] = second[3, 1] = np.nan
    first[:, 2] = np.nan
    frame = class_deltas(first, second)
    assert frame["pairs"].tolist() == [5, 3, 0]
    assert frame["p"].notna().tolist() == [True, False, False]
    assert np.isnan(frame["difference"][2])
    kept = [1, 2, 4]
    assert frame["difference"][1] == pytest.approx((first - second)[kept, 1].mean())


@pytest.mark.parametrize("shift", [0.0, 0.1])
def test_the_same_difference_in_every_pair_says_nothing_of_its_spread(shift):
    second = np.array([[0.5], [0.6], [0.7], [0.8]])
    (row,) = class_deltas(second + shift, second).to_dict("records")
    assert row["difference"] == pytest.approx(shift)
    assert np.isnan([row["low"], row["high"]]).all()
    assert (row["p"], row["p_holm"]) == (1, 1)


def test_holm_s_own_steps():
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])) == pytest.approx(
        [0.03, 0.06, 0.06, np.nan], nan_ok=True
    )
    assert holm(np.array([0.5, 0.6])) == pytest.approx([1, 1])
    assert len(holm(np.array([]))) == 0


@given(P)
def test_an_adjusted_p_is_no_smaller_keeps_its_rank_and_no_larger_than_bonferroni(values):
    p = np.array(values, float)
    adjusted, there = holm(p), ~np.isnan(p)
    assert (np.isnan(adjusted) == ~there).all()
    p, adjusted = p[there], adjusted[there]
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(len(p) * p, 1) + 1e-12).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_of_arms_that_do_not_differ_holm_finds_a_class_in_at_most_5_of_100():
    random, found, studies = np.random.default_rng(5), 0, 1000
    for _ in range(studies):
        first, second = random.normal(0.8, 0.05, (2, 6, 10))
        found += (class_deltas(first, second)["p_holm"] < 0.05).any()
    assert found <= 0.067 * studies  # 99 % of Bin(1000, 0.05)
