"""The losses around a switch of phases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_engine.analysis.measures import EDGE, first_and_last, spike

losses = st.lists(st.floats(0, 100, width=32), max_size=180)


@given(losses, st.lists(st.integers(0, 180), max_size=5))
def test_however_they_come_the_first_and_the_last_are_kept(values, cuts):
    known = {}
    for part in np.split(np.array(values), sorted(min(cut, len(values)) for cut in cuts)):
        known = first_and_last(known, part)
    rounded = [float(f"{value:.6g}") for value in values]
    assert known == {"first": rounded[:EDGE], "last": rounded[-EDGE:]}


def test_a_spike_sets_the_highest_after_beside_the_highest_before():
    before = [9.0] * 25 + [1.0] * 20 + [2.0] * 5
    after = [4.0] * 5 + [1.5] * 4 + [0.5] * 9
    found = spike(before, after)
    assert found.height == pytest.approx(4.0 - 2.0)
    assert found.recovered == 8  # 1.5, 1.5, 0.5, 0.5, 0.5: the first five of at most 1 on average


def test_how_a_short_phase_began_is_no_spike_before_the_switch():
    found = spike([2.3] * 8 + [0.6] * 8, [0.6] * 16)
    assert found == (pytest.approx(0), 1)


def test_one_lucky_step_is_no_recovery():
    assert spike([1.0] * 10, [2.0, 0.1, *[2.0] * 8]) == (pytest.approx(1.0), None)


def test_noise_alone_makes_no_spike_on_average():
    random = np.random.default_rng(0)
    heights = [spike(*random.normal(0.5, 0.1, (2, EDGE))).height for _ in range(500)]
    assert abs(np.mean(heights)) < 0.01


def test_a_switch_that_only_helps_has_a_spike_below_zero():
    found = spike([1.0] * 10, [0.9, 0.8, 0.7, 0.6, 0.5])
    assert found.height == pytest.approx(-0.3)
    assert found.recovered == 1


@pytest.mark.parametrize(("before", "after"), [(0, 9), (8, 9), (50, 4)])
def test_without_steps_on_both_sides_there_is_no_spike(before, after):
    assert spike([1.0] * before, [1.0] * after) is None
