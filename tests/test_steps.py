"""The losses around a switch of phases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_engine.analysis.steps import EDGE, kept, spike

losses = st.lists(st.floats(0, 100, width=32), max_size=180)


@given(losses, st.lists(st.integers(0, 180), max_size=5))
def test_however_they_come_the_first_and_the_last_are_kept(values, cuts):
    known = {}
    for part in np.split(np.array(values), sorted(min(cut, len(values)) for cut in cuts)):
        known = kept(known, part)
    rounded = [float(f"{value:.6g}") for value in values]
    assert known == {"first": rounded[:EDGE], "last": rounded[-EDGE:]}


def test_a_spike_is_measured_from_the_usual_loss_before_and_ends_when_five_steps_are_back():
    before, after = [1.0, 0.9, 1.1], [3.0, 2.0, 0.5, 1.5, *[1.0] * 6]
    assert spike(before, after) == (2.0, 3)


def test_one_lucky_step_is_no_recovery():
    assert spike([1.0], [2.0, 0.9, *[2.0] * 8]) == (1.0, None)
    assert spike([1.0], [2.0, 0.9]) == (1.0, None)


def test_a_switch_that_only_helps_has_a_spike_below_zero():
    found = spike([1.0] * 3, [0.9, 0.8, 0.7, 0.6, 0.5])
    assert found.height == pytest.approx(-0.1)
    assert found.recovered == 1


@pytest.mark.parametrize("sides", [([], [1.0]), ([1.0], [])])
def test_without_steps_on_both_sides_there_is_no_spike(sides):
    assert spike(*sides) is None
