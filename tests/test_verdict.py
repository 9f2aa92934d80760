"""Verdicts: how often they are wrong, what they find, and in which words."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from scipy import stats

from tl_engine.analysis.interval import (
    confidence_sequence,
    is_constant,
    is_strong,
    skewness_of,
    t_interval,
)
from tl_engine.analysis.power import detectable, pairs_needed, power
from tl_engine.analysis.rule import END, Pairs, p_value
from tl_engine.analysis.verdict import Outcome, decide, decide_all, holm
from tl_engine.metric import METRICS

CONTRASTS = 2000
MATTERS = 0.005
CLAIMS = (Outcome.BETTER, Outcome.SMALL)


def pairs(differences, all_in=True, first="Freeze first", second="Fine-tune first"):
    """All of which were planned and are in, or of which nobody fixed a number."""
    values = np.asarray(differences, float)
    return Pairs(values, first, second, *((len(values), values) if all_in else ()))


def verdict(differences, smallest=MATTERS, all_in=True):
    return decide(pairs(differences, all_in), smallest)


def claims(many, **options):
    """The share of contrasts in which one arm is said to be ahead."""
    return np.mean([verdict(one, **options).outcome in CLAIMS for one in many])


def arms(random, spreads=(0.003, 0.003), count=10, kind="normal"):
    """Accuracies of two arms of the same quality, (2, contrasts, pairs)."""
    shape = (CONTRASTS, count)
    draw = random.standard_normal if kind == "normal" else lambda size: random.standard_t(3, size)
    return np.stack([0.9 + spread * draw(shape) for spread in spreads])


def test_arms_of_the_same_quality_are_told_apart_as_rarely_as_promised():
    random = np.random.default_rng(1)
    for nulls in (
        arms(random),
        arms(random, spreads=(0.001, 0.006)),
        arms(random, kind="t3"),
        np.where(random.random((2, CONTRASTS, 10)) < 0.03, 0.85, arms(random)),
        random.binomial(500, arms(random)) / 500,
    ):
        assert claims(nulls[0] - nulls[1]) <= 0.06


def orders(random, truths, all_in=True):
    """Contrasts of all pairs of so many recipes, of ten pairs each."""
    scores = random.normal(0, 0.003, (len(truths), 10)) + np.array(truths)[:, None]
    return [
        pairs(scores[i] - scores[j], all_in, f"{i}", f"{j}")
        for i, j in itertools.combinations(range(len(truths)), 2)
    ]


def claimed_by_holm(family):
    """Whether any is claimed: `decide_all` claims those, as a test below says."""
    return bool((holm(np.array([p_value(one) for one in family])) <= 0.05).any())


def test_of_six_recipes_that_are_the_same_none_is_said_to_win():
    random = np.random.default_rng(6)
    for all_in in (True, False):
        fooled = [claimed_by_holm(orders(random, [0.9] * 6, all_in)) for _ in range(CONTRASTS)]
        assert np.mean(fooled) <= 0.06


def test_of_a_family_exactly_those_are_claimed_that_holm_s_procedure_finds():
    random = np.random.default_rng(7)
    for _ in range(100):
        family = orders(random, [0.9, 0.9, 0.903, 0.906])
        p_values = [p_value(one) for one in family]
        for one, p in zip(family, p_values, strict=True):
            if not is_strong(skewness_of(one.differences), 10):
                theirs = float(stats.ttest_1samp(one.differences, 0).pvalue)
                assert p == pytest.approx(min(1, theirs / END))
        verdicts = decide_all(family, 1e-9)
        held = [one.outcome in CLAIMS for one in verdicts]
        assert held == [p <= 0.05 for p in holm(np.array(p_values))]
        assert all(one.p == pytest.approx(p) for one, p in zip(verdicts, p_values, strict=True))


@given(some.lists(some.floats(-0.1, 0.1), min_size=4, max_size=30), some.booleans())
def test_p_is_small_exactly_where_the_interval_leaves_out_0(differences, all_in):
    values = np.array(differences)
    said = verdict(values, all_in=all_in)
    if np.ptp(values) > 1e-6:
        for level in (0.05, 0.01):
            again = decide(pairs(values, all_in), MATTERS, alpha=level)
            assert (again.p < level) == again.interval.excludes(0.0) or again.p == pytest.approx(
                level, rel=1e-6
            )
        assert said.p == again.p


def test_a_lower_loss_is_a_gain_and_said_in_nats():
    said = decide(
        pairs([0.02, 0.021, 0.022, 0.021], first="A", second="B"),
        0.01,
        metric=METRICS["val_loss"],
    )
    assert said.sentence.startswith("A is better than B: +0.0210 nats (95 % interval +0.0197 to ")
    assert said.sentence.endswith("more than the 0.01 nats that matter.")


def test_looking_after_every_pair_does_not_make_a_claim_likelier():
    random = np.random.default_rng(2)
    streams = random.normal(0, 0.003, (CONTRASTS, 30))
    fooled = [
        any(p_value(pairs(one[:seen], all_in=False)) < 0.05 for seen in range(4, 31))
        for one in streams
    ]
    assert np.mean(fooled) <= 0.05
    misses = [
        any(
            not low <= 0 <= high
            for low, high in (confidence_sequence(one[:n]) for n in range(2, 31))
        )
        for one in streams
    ]
    assert np.mean(misses) <= 0.05


def test_what_is_there_is_found_and_with_the_right_sign():
    random = np.random.default_rng(3)
    for effect, floor in ((1.0, 0.78), (1.5, 0.97)):
        found = [verdict(one, 1e-9) for one in random.normal(effect, 1.0, (CONTRASTS, 10)) * 0.003]
        assert np.mean([one.outcome in CLAIMS for one in found]) >= floor
        wrong = [one.outcome in CLAIMS and one.difference < 0 for one in found]
        assert np.mean(wrong) <= 0.001
    live = random.normal(1.5, 1.0, (CONTRASTS, 15)) * 0.003
    assert claims(live, smallest=1e-9, all_in=False) >= 0.95


def test_what_is_the_same_is_said_to_be_and_what_just_matters_is_not():
    random = np.random.default_rng(4)
    same = random.normal(0, 0.003, (CONTRASTS, 10))

    def near(shift):
        return np.mean([t_interval(one + shift, 0.1).is_within(MATTERS) for one in same])

    assert near(0.0) >= 0.99
    assert near(MATTERS) <= 0.06


def test_the_t_interval_holds_what_it_promises_and_is_scipy_s():
    random = np.random.default_rng(5)
    many = random.normal(0.002, 0.003, (10_000, 10))
    held = [low <= 0.002 <= high for low, high in map(t_interval, many)]
    assert 0.94 <= np.mean(held) <= 0.96
    theirs = stats.ttest_1samp(many[0], 0).confidence_interval()
    assert t_interval(many[0]) == pytest.approx((theirs.low, theirs.high))
    above = stats.ttest_1samp(many[0], -MATTERS, alternative="greater").pvalue
    below = stats.ttest_1samp(many[0], MATTERS, alternative="less").pvalue
    low, high = t_interval(many[0], 2 * max(above, below))  # two one-sided tests
    assert max(-low, high) == pytest.approx(MATTERS)


@pytest.mark.parametrize(("effect", "alpha"), [(1.0, 0.05), (0.5, 0.05), (1.0, 0.05 / 15)])
def test_pairs_that_are_still_needed_find_what_they_promise(effect, alpha):
    needed = pairs_needed(effect, alpha=alpha)
    many = np.random.default_rng(8).normal(effect, 1.0, (CONTRASTS, needed))
    found = [t_interval(one, alpha).excludes(0.0) for one in many]
    assert 0.77 <= np.mean(found) <= 0.85


@pytest.mark.parametrize(("count", "effect"), [(5, 1.68), (10, 1.00), (20, 0.66)])
def test_plans_agree_with_published_tables(count, effect):
    assert detectable(1.0, count) == pytest.approx(effect, abs=0.01)
    assert pairs_needed(detectable(1.0, count) + 1e-6) == count
    assert power(detectable(1.0, count), count) == pytest.approx(0.8, abs=1e-6)


@given(
    some.lists(some.floats(-0.1, 0.1), min_size=4, max_size=30),
    some.floats(1e-4, 0.05),
    some.booleans(),
)
def test_better_is_said_exactly_where_the_interval_leaves_out_what_does_not_matter(
    differences, smallest, all_in
):
    said = verdict(differences, smallest, all_in)
    away = min(abs(said.interval.low), abs(said.interval.high))
    one_side = said.interval.low * said.interval.high > 0
    constant = is_constant(np.array(differences))
    is_better = one_side and away > smallest and not constant
    assert (said.outcome is Outcome.BETTER) == is_better
    assert (" is better than " in said.sentence) == is_better
    mirrored = verdict([-one for one in differences], smallest, all_in)
    assert mirrored.outcome is said.outcome
    assert "nan" not in said.sentence


GOLDEN = {
    (0.010, 0.012, 0.011, 0.013): "Freeze first is better than Fine-tune first: +1.15 points (95 % "
    "interval +0.94 to +1.36; ahead in 4 of 4 pairs), more than the 0.5 points that matter.",
    (-0.002, -0.004, -0.003, -0.003): "Fine-tune first is ahead of Freeze first by +0.30 points "
    "(95 % interval +0.17 to +0.43): real, but not shown to be more than the 0.5 points that "
    "matter.",
    (0.001, -0.001, 0.0005, -0.0005): "Freeze first and Fine-tune first differ by less than 0.5 "
    "points (95 % interval -0.15 to +0.15).",
    (0.02, -0.02, 0.01, 0.0): "Cannot tell yet: Freeze first minus Fine-tune first is +0.25 points "
    "(95 % interval -2.52 to +3.02). About 493 more pairs "
    "(102 to 2,381) would find a difference of 0.5 points.",
    (-0.03, -0.04, -0.05, -0.03, 0.0, -0.04): "Fine-tune first is better than Freeze first: +3.17 "
    "points (95 % interval +1.33 to +5.00; ahead in 5 of 6 pairs), more than the 0.5 points that "
    "matter.",
    (0.02, 0.03): "2 pairs: a look, not evidence.",
}


@pytest.mark.parametrize("differences", GOLDEN)
def test_the_sentences_and_no_others(differences):
    assert verdict(differences).sentence == GOLDEN[differences]


def test_no_spread_is_no_evidence_and_no_difference_is_none():
    assert verdict([0.0] * 4).outcome is Outcome.EQUIVALENT
    assert verdict([0.002] * 4).outcome is Outcome.OPEN
    counts = [41 / 50 - 40 / 50, 42 / 50 - 41 / 50, 44 / 50 - 43 / 50, 47 / 50 - 46 / 50]
    assert len(set(counts)) > 1  # the same count apart, and not the same float
    for all_in in (True, False):
        said = verdict(counts, all_in=all_in)
        assert (said.outcome, said.p) == (Outcome.OPEN, 1.0)
    assert verdict([]).sentence == "0 pairs: a look, not evidence."
    assert math.isnan(verdict([]).difference)


def test_more_pairs_than_anybody_runs_are_no_estimate():
    wild = np.array([0.3, -0.4, 0.5, -0.6])
    said = decide(Pairs(wild, "A", "B", 4, wild), 0.0001).sentence
    assert "No fewer than 10,000 more pairs would find" in said
