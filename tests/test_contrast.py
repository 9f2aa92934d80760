"""Two arms against each other: pairs, the fan, budgets, the best of several, the narrator."""

import math
import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.conftest import tiny_recipe
from tests.test_analysis import history
from tl_engine.analysis.budgets import (
    Budget,
    apart,
    are_comparable,
    budget,
    forward_equivalents,
    in_words,
    on_frontier,
    per_epoch,
    steps,
    times_as_much,
)
from tl_engine.analysis.curve_means import with_axes
from tl_engine.analysis.interval import confidence_sequence
from tl_engine.analysis.narrator import narrate
from tl_engine.analysis.paired_scores import confidence_fan
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.score_table import (
    best_within,
    budget_curve,
    expected_best,
    finals_of,
    pairs_of,
    score_table,
)
from tl_engine.catalog.backbones import backbone
from tl_engine.recipe import Phase
from tl_engine.runs import joined_history

SHARES = some.floats(0, 1)
A, B = "Fine-tune first", "Freeze first"


def table(accuracies, **options):
    told = history(accuracies, **options)
    return score_table(told, dict.fromkeys(told["run"], 100))


def test_pairs_are_the_seeds_that_both_arms_have():
    scored = table({("a", 2): [0.6], ("a", 1): [0.5], ("b", 1): [0.4], ("b", 2): [0.6]})
    lonely = table({("b", 3): [0.9], ("a", 3): [math.nan]})
    finals = finals_of(pd.concat([scored, lonely]))
    pairs = pairs_of(finals["s", "a"], finals["s", "b"])
    assert pairs[["seed", "first", "second"]].to_dict("list") == {
        "seed": [1, 2],
        "first": [0.5, 0.6],
        "second": [0.4, 0.6],
    }
    assert list(pairs["gain"]) == pytest.approx([0.1, 0.0])
    assert pairs_of(finals["s", "a"], pd.Series(dtype=float)).empty


def test_the_fan_is_the_confidence_sequence_after_each_pair():
    values = np.array([0.01, 0.02, 0.0, 0.015, 0.01, 0.012, 0.02])
    fan = confidence_fan(Pairs(values, "A", "B"))
    assert list(fan["pairs"]) == [2, 3, 4, 5, 6, 7]
    for pairs, difference, low, high in fan.to_numpy()[2:]:
        assert difference == pytest.approx(values[: int(pairs)].mean())
        assert (low, high) == confidence_sequence(values[: int(pairs)])
    assert np.isinf(fan["low"].iloc[0]) and np.isfinite(fan["low"].iloc[-1])


@pytest.mark.parametrize("values", [[], [0.1]])
def test_the_fan_takes_two_pairs(values):
    assert confidence_fan(Pairs(np.array(values), "A", "B")).empty


def test_pairs_that_all_differ_by_the_same_have_no_band():
    assert np.isinf(confidence_fan(Pairs(np.full(8, 0.01), "A", "B"))["high"]).all()


@pytest.mark.parametrize(
    ("phases", "by_hand"),
    [
        ((Phase("head", 4, 1e-3),), 4 * 1000),
        ((Phase("all", 2, 1e-5),), 2 * 3 * 1000),
        ((Phase("all", 2, 1e-5), Phase("head", 4, 1e-3)), 2 * 3 * 1000 + 4 * 1000),
        ((Phase(1, 3, 1e-4),), 3 * 1000 * (1 + 2 / 3)),
    ],
)
@pytest.mark.parametrize("augmentation", [False, True])
def test_forward_equivalents_are_those_counted_by_hand(phases, by_hand, augmentation):
    assert len(backbone("tiny").blocks) == 3
    recipe = tiny_recipe(*phases, train_images=1000, augmentation=augmentation)
    assert forward_equivalents(recipe) == pytest.approx(by_hand, rel=0.01)
    assert forward_equivalents(recipe.reversed()) == pytest.approx(by_hand, rel=0.01)


def test_steps_count_the_small_last_batch():
    recipe = tiny_recipe(Phase("head", 4, 1e-3), train_images=100, batch_size=32)
    assert steps(recipe) == 4 * 4
    assert steps(recipe, [2.5]) == 4 * 2.5


def test_a_budget_counts_what_real_runs_have_trained(finished):
    runs = finished.runs()
    told = joined_history(runs)
    recipe = runs[0].recipe
    ours = told[told["run"] == runs[0].id]
    found = budget(recipe, ours)
    counted = sum(ours["images"] * ours["trainable"].map({"head": 1, "all": 3}))
    assert found.forward_equivalents == pytest.approx(counted, rel=0.01)
    assert found.seconds == pytest.approx(ours["seconds"].sum())
    assert found.cold_seconds > 0
    assert budget(recipe, ours[ours["phase"] == 0]).steps < steps(recipe)


def test_what_every_epoch_costs_adds_up_to_what_the_run_costs(finished):
    runs = finished.runs()
    recipes = {(run.study.id, run.arm): run.recipe for run in runs}
    told = per_epoch(joined_history(runs), recipes)
    for run in runs:
        ours = told[told["run"] == run.id]
        assert ours["steps"].sum() == steps(run.recipe)
        assert ours["forward_equivalents"].sum() == pytest.approx(forward_equivalents(run.recipe))
    placed = with_axes(told)
    assert placed["x_steps"].max() == steps(runs[0].recipe)
    assert per_epoch(history({}), {}).empty


def test_a_budget_in_words_says_where_arms_differ():
    one, longer = (tiny_recipe(Phase("head", n, 1e-3), train_images=100) for n in (1, 2))
    per_run = math.ceil(100 / one.batch_size)
    assert in_words([one, one]) == f"a run: {per_run} steps, 100 forward-equivalents"
    both = f"a run: {per_run} to {2 * per_run} steps, 100 to 200 forward-equivalents"
    assert in_words([one, longer]) == both
    assert in_words([]) == ""
    early = tiny_recipe(Phase("head", 1, 1e-3, patience=1), train_images=100)
    assert in_words([early]).startswith("a run: at most ")


def test_nothing_measured_is_no_free_run():
    found = budget(tiny_recipe(), history({}))
    assert found.steps == steps(tiny_recipe())
    assert math.isnan(found.seconds) and math.isnan(found.cold_seconds)


def test_both_orders_of_the_same_phases_are_comparable_and_a_longer_arm_is_not():
    one = budget(tiny_recipe(), history({}))
    other = budget(tiny_recipe().reversed(), history({}))
    longer = budget(tiny_recipe(Phase("all", 2, 1e-3), Phase("head", 1, 1e-2)), history({}))
    assert are_comparable(one, other)
    assert not are_comparable(one, longer) and not are_comparable(longer, one)
    assert times_as_much(longer, one).forward_equivalents == pytest.approx(7 / 4)


@pytest.mark.parametrize(
    ("first", "second", "comparable"),
    [
        (Budget(100, 105, 1), Budget(100, 100, 9), True),
        (Budget(100, 106, 1), Budget(100, 100, 1), False),
        (Budget(106, 100, 1), Budget(100, 100, 1), False),
        (Budget(100, 100, 1, cold_seconds=9), Budget(100, 100, 1, cold_seconds=1), True),
    ],
)
def test_steps_and_forward_equivalents_decide_within_five_percent(first, second, comparable):
    assert are_comparable(first, second) is comparable
    assert are_comparable(second, first) is comparable


@given(some.floats(0.01, 100))
def test_twice_as_much_and_half_as_much_are_equally_far_apart(ratio):
    assert apart(ratio) == pytest.approx(apart(1 / ratio), abs=1e-9)
    assert apart(ratio) >= 0


@given(some.lists(SHARES, min_size=1, max_size=12))
def test_the_expected_best_is_that_of_every_possible_draw(values):
    best = expected_best(np.array(values))
    assert best[0] == pytest.approx(np.mean(values))
    assert (np.diff(best) >= -1e-12).all() and best[-1] <= max(values) + 1e-12
    if len(values) > 1:
        drawn = [max(one, other) for one in values for other in values]
        assert best[1] == pytest.approx(np.mean(drawn))


def test_a_curve_takes_the_mean_time_of_its_runs_and_knows_what_fits():
    scored = table({("a", 1): [0.5], ("a", 2): [0.7], ("b", 1): [0.9, 0.6], ("b", 2): [0.9, 0.6]})
    curve = budget_curve(scored)
    assert list(curve["seconds"]) == pytest.approx([3, 6, 6, 12])
    assert list(curve["value"]) == pytest.approx([0.6, 0.65, 0.6, 0.6])
    assert best_within(curve, 1) == []
    assert [one.key[1] for one in best_within(curve, 4)] == ["a"]
    first, second = best_within(curve, 600)
    assert (first.key[1], first.runs, first.value) == ("a", 2, pytest.approx(0.65))
    assert (second.key[1], second.runs) == ("b", 2)
    assert budget_curve(scored.iloc[:0]).empty


def test_the_frontier_holds_what_no_other_beats():
    costs = np.array([1, 2, 3, 2, 1, math.nan])
    values = np.array([0.5, 0.7, 0.6, 0.7, 0.4, 0.9])
    assert list(on_frontier(costs, values)) == [True, True, False, True, False, False]


@given(some.lists(some.tuples(some.floats(0, 9), SHARES), min_size=1, max_size=20))
def test_something_is_always_on_the_frontier_and_nothing_there_is_beaten(points):
    costs, values = np.array(points).T
    best = on_frontier(costs, values)
    assert best.any()
    for cost, value in zip(costs[best], values[best], strict=True):
        assert not ((costs < cost) & (values > value)).any()


def arms(first, second):
    """Histories of two arms: a list of curves each, one per pair."""
    curves = {(A, n): curve for n, curve in enumerate(first, start=1)}
    return history(curves | {(B, n): curve for n, curve in enumerate(second, start=1)})


TWO_LEVEL = [[0.5, 0.5], [0.6, 0.6]]
GOLDEN = [
    (
        [[0.50, 0.60, 0.704], [0.52, 0.60, 0.704]],
        [[0.63, 0.60, 0.70], [0.63, 0.59, 0.70]],
        2.1,
        "Fine-tune first starts 12.0 points lower, overtakes in epoch 2, ends 0.4 points higher "
        "and costs 2.1 times as much. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.6], [0.5, 0.6]],
        [[0.6, 0.7], [0.6, 0.7]],
        1.04,
        "Fine-tune first starts 10.0 points lower, never overtakes, ends 10.0 points lower and "
        "costs about the same. "
        "Means of 2 pairs.",
    ),
    (
        [[0.7, 0.8], [0.7, 0.8]],
        [[0.6, 0.8], [0.6, 0.8]],
        0.48,
        "Fine-tune first starts 10.0 points higher, is never overtaken, ends level and costs 0.48 "
        "times as much. "
        "Means of 2 pairs.",
    ),
    (
        [[0.7, 0.6], [0.7, 0.6]],
        [[0.6, 0.7], [0.6, 0.7]],
        math.nan,
        "Fine-tune first starts 10.0 points higher, is overtaken in epoch 2 and ends 10.0 points "
        "lower. "
        "Means of 2 pairs.",
    ),
    (
        [[0.7, 0.6, 0.7, 0.6], [0.7, 0.6, 0.7, 0.6]],
        [[0.6, 0.7, 0.6, 0.7], [0.6, 0.7, 0.6, 0.7]],
        12.34,
        "Fine-tune first starts 10.0 points higher, is overtaken for the last time in epoch 4 "
        "(the lead changes 3 times), ends 10.0 points lower and costs 12 times as much. "
        "Means of 2 pairs.",
    ),
    (
        TWO_LEVEL,
        TWO_LEVEL,
        1.0,
        "Fine-tune first starts level, stays level, ends level and costs about the same. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.6], [0.5, 0.6]],
        TWO_LEVEL,
        math.nan,
        "Fine-tune first starts 5.0 points lower, overtakes in epoch 2 and ends 5.0 points higher. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.61], [0.6, 0.7]],
        TWO_LEVEL,
        math.nan,
        "Fine-tune first starts level, pulls ahead in epoch 2 and ends 10.5 points higher. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.4], [0.6, 0.5]],
        TWO_LEVEL,
        math.inf,
        "Fine-tune first starts level, falls behind in epoch 2 and ends 10.0 points lower. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.6]],
        [[0.4, 0.5]],
        math.nan,
        "Fine-tune first starts 10.0 points higher, is never overtaken and ends 10.0 points "
        "higher. One pair only.",
    ),
    (
        [[0.5], [0.5]],
        [[0.4], [0.4]],
        2.0,
        "Fine-tune first is 10.0 points higher than Freeze first after epoch 1 and costs 2 times "
        "as much. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5], [0.5]],
        [[0.5], [0.5]],
        math.nan,
        "Fine-tune first is level with Freeze first after epoch 1. Means of 2 pairs.",
    ),
    (
        [[0.5, 0.6, 0.9], [0.5, 0.6, 0.9]],
        [[0.6, 0.7], [0.6, 0.7]],
        math.nan,
        "Fine-tune first starts 10.0 points lower, never overtakes and stands 10.0 points lower "
        "after epoch 2. Compared up to epoch 2, the last that both have; Fine-tune first has 3. "
        "Means of 2 pairs.",
    ),
    (
        [[0.5, 0.6], [0.5, 0.9]],
        [[0.6, 0.7], [0.6, math.nan]],
        math.nan,
        "Fine-tune first starts 10.0 points lower, never overtakes and ends 10.0 points lower. "
        "Means of 1 to 2 pairs, as far as both arms have come.",
    ),
    (
        [[math.nan]],
        [[0.5]],
        1.0,
        "No pair of Fine-tune first and Freeze first has a measured epoch in common yet.",
    ),
    (
        [],
        [],
        1.0,
        "No pair of Fine-tune first and Freeze first has a measured epoch in common yet.",
    ),
]


@pytest.mark.parametrize(("first", "second", "times", "sentence"), GOLDEN)
def test_what_the_narrator_says(first, second, times, sentence):
    assert narrate(arms(first, second), A, B, times) == sentence


CURVES = some.lists(some.lists(SHARES | some.just(math.nan), max_size=6), max_size=3)


def leads_by_hand(first, second):
    """First minus second per epoch, the mean of the pairs that measured it in both arms."""
    pairs = list(zip(first, second, strict=False))
    epochs = range(max((min(len(one), len(other)) for one, other in pairs), default=0))
    for epoch in epochs:
        reached = [(a[epoch], b[epoch]) for a, b in pairs if epoch < min(len(a), len(b))]
        known = [one - other for one, other in reached if not math.isnan(one - other)]
        if known:
            yield sum(known) / len(known)


@given(CURVES, CURVES, some.floats(0.01, 1000) | some.just(math.nan))
def test_the_narrator_always_speaks_and_never_mistakes_who_is_ahead(first, second, times):
    said = narrate(arms(first, second), A, B, times)
    assert said.endswith(".") and not re.search(r"\bnan\b|\binf\b", said)
    said = said.replace("stands", "ends")  # where an arm goes on
    leads = list(leads_by_hand(first, second))
    for verb, lead in [("starts", leads[:1]), ("ends", leads[-1:])] if len(leads) > 1 else []:
        if abs(lead[0]) > 0.0006:
            where = "higher" if lead[0] > 0 else "lower"
            assert f"{verb} {100 * abs(lead[0]):.1f} points {where}" in said
        elif abs(lead[0]) < 0.0004:
            assert f"{verb} level" in said
    if len(leads) > 1 and min(map(abs, leads)) > 0.0006:
        changes = sum(one * other < 0 for one, other in pairwise(leads))
        assert ("overtakes in" in said) == (changes == 1 and leads[-1] > 0)
        assert ("is overtaken in" in said) == (changes == 1 and leads[-1] < 0)
        assert (f"changes {changes} times" in said) == (changes > 1)
