"""Numbers in, numbers out."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as some
from hypothesis.extra import numpy as arrays
from scipy.stats import binomtest

from tests.conftest import tiny_recipe
from tl_engine.analysis.contrast import differences
from tl_engine.analysis.curve_means import mean_curves, thinned, with_axes
from tl_engine.analysis.predictions import (
    confusion_counts,
    difference_in_points,
    per_class_accuracy,
    row_shares,
)
from tl_engine.analysis.score_table import arm_summary, score_table, wilson_interval
from tl_engine.analysis.work import estimate, missing_rates, sizes_of, total_work
from tl_engine.execution.cost import plan
from tl_engine.recipe import Phase
from tl_engine.runs import HISTORY_COLUMNS
from tl_engine.runs.phase_ends import names_of
from tl_engine.study import Study


def history(accuracies, study="s", images=100):
    """Accuracies per (arm, seed), one value per epoch; two phases of which the first has one."""
    return pd.DataFrame(
        [
            {
                "study": study,
                "arm": arm,
                "seed": seed,
                "run": f"{study}/{arm}-{seed}",
                "phase": int(epoch > 1),
                "trainable": "all" if epoch == 1 else "head",
                "epoch": epoch,
                "learning_rate": 1e-5 if epoch == 1 else 1e-3,
                "seconds": 1.0 * seed,  # half of it was there already
                "cold_seconds": 2.0 * seed,
                "images": images,
                "loss": 1 - value,
                "accuracy": value,
                "val_loss": 1 - value,
                "val_accuracy": value,
            }
            for (arm, seed), values in accuracies.items()
            for epoch, value in enumerate(values, start=1)
        ],
        columns=list(HISTORY_COLUMNS),
    )


MEASURED = arrays.arrays(
    float, some.integers(0, 300), elements=some.floats(-9, 9) | some.just(np.nan)
)


@given(MEASURED, some.integers(5, 400))
def test_a_thinned_curve_keeps_its_ends_its_extremes_and_its_gaps(values, most):
    kept = thinned(values, most)
    assert len(kept) <= max(most, 0)
    assert list(kept) == sorted(set(kept))
    if len(values) <= most:
        assert len(kept) == len(values)
    elif len(values):
        assert (kept[0], kept[-1]) == (0, len(values) - 1)
        if not np.isnan(values).all():
            assert np.nanmin(values[kept]) == np.nanmin(values)
            assert np.nanmax(values[kept]) == np.nanmax(values)
        assert np.isnan(values[kept]).any() == np.isnan(values).any()


@given(arrays.arrays(float, 300, elements=some.floats(-9, 9)), some.integers(5, 100))
def test_every_value_of_a_whole_curve_lies_between_what_is_kept_around_it(values, most):
    kept = thinned(values, most)
    stretch = -(-300 // ((most - 2) // 3))
    for position, value in enumerate(values):
        around = values[kept[np.abs(kept - position) < stretch]]
        assert around.min() <= value <= around.max()


def test_wilson_s_interval_is_the_published_one():
    low, high = wilson_interval(9000, 10000)
    assert (round(low, 3), round(high, 3)) == (0.894, 0.906)


@given(some.integers(1, 10_000).flatmap(lambda n: some.tuples(some.integers(0, n), some.just(n))))
def test_wilson_s_interval_holds_the_share(counts):
    correct, total = counts
    low, high = wilson_interval(correct, total)
    assert 0 <= low <= correct / total + 1e-12
    assert correct / total - 1e-12 <= high <= 1
    expected = binomtest(correct, total).proportion_ci(0.95, method="wilson")
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_scores_name_the_first_best_epoch_and_the_last():
    table = score_table(history({("a", 1): [0.5, 0.8, 0.8, 0.7]}), {"s/a-1": 1000})
    row = table.iloc[0]
    assert (row["final"], row["correct"], row["total"]) == (0.7, 700, 1000)
    assert (row["best"], row["best_epoch"]) == (0.8, 2)
    assert (row["seconds"], row["cold_seconds"]) == (4.0, 8.0)


def test_an_empty_history_has_no_scores():
    assert score_table(history({}), {}).empty


def test_arms_are_summed_up_over_their_seeds():
    table = score_table(
        history({("a", 1): [0.5], ("a", 2): [0.7], ("b", 1): [0.6]}),
        {"s/a-1": 10, "s/a-2": 10, "s/b-1": 10},
    )
    summary = arm_summary(table).set_index("arm")
    assert summary.loc["a", "n"] == 2
    assert summary.loc["a", "mean"] == pytest.approx(0.6)
    assert (summary.loc["a", "lowest"], summary.loc["a", "highest"]) == (0.5, 0.7)


@given(arrays.arrays(np.int64, 50, elements=some.integers(0, 3)), some.randoms())
def test_confusions_count_every_image_once(labels, random):
    predicted = np.array([random.randrange(4) for _ in labels])
    counts = confusion_counts(labels, predicted, 4)
    assert counts.sum() == len(labels)
    assert np.trace(counts) == (labels == predicted).sum()
    assert (counts.sum(axis=1) == np.bincount(labels, minlength=4)).all()


def test_a_class_without_images_has_no_accuracy():
    counts = confusion_counts(np.array([0, 0]), np.array([0, 1]), 3)
    assert per_class_accuracy(counts)[0] == 0.5
    assert np.isnan(per_class_accuracy(counts)[2])


def test_a_difference_of_confusions_compares_shares():
    few, many = np.array([[1, 1], [0, 2]]), np.array([[100, 100], [0, 200]])
    assert (difference_in_points(few, many) == 0).all()
    assert row_shares(many)[0].tolist() == [0.5, 0.5]


def test_only_settings_that_differ_are_shown():
    one, other = tiny_recipe(), tiny_recipe(batch_size=16).reversed()
    table = differences({"a": one.to_dict(), "b": other.to_dict()})
    assert list(table.index) == ["phase 1", "phase 2", "batch size"]
    assert table.loc["phase 1", "a"] == "all layers, 1 epoch, Adam at 0.001"


def test_a_phase_that_the_other_arm_lacks_is_a_dash():
    table = differences(
        {"a": tiny_recipe(Phase("head", 1, 1e-3)).to_dict(), "b": tiny_recipe().to_dict()}
    )
    assert table.loc["phase 2", "a"] == "–"


def test_the_same_settings_differ_in_nothing():
    assert differences({"a": tiny_recipe().to_dict(), "b": tiny_recipe().to_dict()}).empty


def test_axes_add_up_per_run():
    spent = with_axes(history({("a", 1): [0.1, 0.2], ("a", 2): [0.1, 0.2]}))
    assert list(spent["x_images"]) == [100, 200, 100, 200]
    assert list(spent["x_seconds"]) == [2.0, 4.0, 4.0, 8.0]


def test_a_mean_ends_where_its_slowest_seed_ends():
    means = mean_curves(
        history({("a", 1): [0.2, 0.4, 0.9], ("a", 2): [0.4, 0.6]}), "val_accuracy", "epoch"
    )
    assert list(means["epoch"]) == [1, 2]
    assert list(means["value"]) == pytest.approx([0.3, 0.5])
    assert list(means["n"]) == [2, 2]


def rates(recipe, train, forward):
    from tl_engine.analysis.work import rate_key

    return [
        {
            **rate_key(recipe, phase),
            "train_seconds_per_image": train,
            "reading_seconds_per_image": forward,
            "forward_seconds_per_image": forward,
            "setup_seconds": 5.0,
            "startup_seconds": 2.0,
        }
        for phase in recipe.phases
    ]


def test_an_estimate_adds_up():
    recipe = tiny_recipe(Phase("all", 2, 1e-3))
    expected = estimate(recipe, rates(recipe, 0.1, 0.01))
    # 2 start, 5 set-up, 2 epochs of 100 images at 0.1 and 100 + 1000 measured at 0.01
    assert expected.seconds == pytest.approx(2 + 5 + 2 * (10 + 11))


def test_nothing_is_estimated_that_was_not_measured():
    recipe = tiny_recipe()
    known = rates(recipe, 0.1, 0.01)
    assert estimate(recipe, known[:1]) is None
    assert [phase.trainable for phase in missing_rates(recipe, known[:1])] == ["head"]
    assert missing_rates(recipe, known) == []


def test_the_latest_measurement_counts():
    recipe = tiny_recipe(Phase("all", 1, 1e-3))
    both = rates(recipe, 0.1, 0.01) + rates(recipe, 0.2, 0.01)
    assert estimate(recipe, both).images_per_second == (5.0,)


def test_an_estimate_reads_frozen_layers_once():
    recipe = tiny_recipe(Phase("head", 9, 1e-3))
    (known,) = rates(recipe, 0.001, 0.01)
    expected = estimate(recipe, [{**known, "reading_seconds_per_image": 0.0001}])
    # 2 start, 5 set-up, 100 + 1000 images read at 0.01, 9 epochs
    assert expected.seconds == pytest.approx(2 + 5 + 11 + 9 * (0.1 + 0.11))


def test_work_counts_three_passes_where_the_backbone_trains():
    one, two = (tiny_recipe(Phase("all", epochs, 1e-3)) for epochs in (1, 2))
    difference_ = total_work(two, sizes_of(two)) - total_work(one, sizes_of(one))
    assert difference_ == 3 * 100 + 100 + 1000


def test_epochs_above_frozen_layers_cost_next_to_nothing():
    one, two = (tiny_recipe(Phase("head", epochs, 1e-3)) for epochs in (1, 2))
    works = [total_work(recipe, sizes_of(recipe)) for recipe in (one, two)]
    assert works[0] == pytest.approx(100 + 1000, rel=0.02)
    assert works[1] - works[0] < 0.02 * works[0]
    changed = tiny_recipe(Phase("head", 1, 1e-3), augmentation=True)
    assert total_work(changed, sizes_of(changed)) == 100 + 100 + 1000


@pytest.mark.parametrize(("correct", "total"), [(0, 0), (5, 4), (-1, 4)])
def test_wilson_s_interval_refuses_impossible_counts(correct, total):
    with pytest.raises(ValueError, match="must"):
        wilson_interval(correct, total)


def test_a_score_that_was_not_measured_has_no_interval():
    table = score_table(history({("a", 1): [0.5, 0.4, np.nan]}), {"s/a-1": 10})
    assert table[["final", "correct", "low", "high"]].isna().all(axis=None)
    assert (table["best"][0], table["best_epoch"][0]) == (0.5, 1)
    assert arm_summary(table)["n"][0] == 0


def test_a_run_without_any_score_has_no_best_epoch():
    table = score_table(history({("a", 1): [np.nan]}), {"s/a-1": 10})
    assert table[["final", "best", "best_epoch"]].isna().all(axis=None)


def test_best_scores_are_summed_up_too():
    table = score_table(
        history({("a", 1): [0.8, 0.5], ("a", 2): [0.6, 0.7]}), {"s/a-1": 10, "s/a-2": 10}
    )
    row = arm_summary(table).iloc[0]
    assert row["mean_best"] == pytest.approx(0.75)
    assert (row["lowest_best"], row["highest_best"]) == (0.7, 0.8)


def test_small_integers_do_not_wrap_around():
    counts = confusion_counts(np.array([99], np.uint8), np.array([98], np.uint8), 100)
    assert counts[99, 98] == counts.sum() == 1


def test_settings_that_differ_in_their_last_digit_differ():
    close = [tiny_recipe(Phase("all", 1, rate)).to_dict() for rate in (1.2345678e-4, 1.2345679e-4)]
    assert list(differences(dict(zip("ab", close, strict=True))).index) == ["phase 1"]


def test_settings_within_settings_have_a_path():
    table = differences({"a": {"shift": {"up_to": 0.1}}, "b": {"shift": {"up_to": 0.2}}})
    assert list(table.index) == ["shift · up to"]


def test_an_empty_history_has_no_means():
    assert mean_curves(history({}), "val_accuracy", "seconds").empty


def test_a_mean_over_fewer_seeds_is_none():
    both = history({("a", 1): [0.2, np.nan, 0.4], ("a", 2): [0.4, 0.9, 0.6]})
    values = mean_curves(both, "val_accuracy", "epoch")["value"]
    assert list(values) == pytest.approx([0.3, np.nan, 0.5], nan_ok=True)


def test_a_mean_stands_at_its_seeds_mean_seconds():
    both = history({("a", 1): [0.2, 0.4], ("a", 2): [0.4, 0.6]})
    assert list(mean_curves(both, "val_accuracy", "seconds")["x"]) == [3.0, 6.0]


def test_what_was_spent_is_unknown_after_an_epoch_of_unknown_cost():
    unknown = history({("a", 1): [0.1, 0.2, 0.3]})
    unknown.loc[1, "cold_seconds"] = np.nan
    assert list(with_axes(unknown)["x_seconds"]) == pytest.approx([2, np.nan, np.nan], nan_ok=True)


def six(pairs=1, **changes):
    from tl_engine.catalog.presets import PRESETS
    from tl_engine.study import name_arms

    orders = PRESETS["six-orders"].orders
    return Study("Six", name_arms([tiny_recipe(*order, **changes) for order in orders]), pairs)


def test_a_plan_counts_what_runs_share_once():
    study = six()
    known = [rate for arm in study.arms for rate in rates(arm.recipe, 0.1, 0.01)]
    planned = plan(study, known, set(), 2)
    # head, all, head > all, all > head, all > head > all, head > all > head: 6 of 12 are new
    assert (planned.shared, planned.phases) == (6, 12)
    assert planned.cold_seconds == pytest.approx(
        sum(estimate(arm.recipe, known).seconds for arm in study.arms)
    )
    assert planned.seconds < 0.7 * planned.cold_seconds
    alone = Study("Alone", study.arms[1:2])
    planned = plan(alone, known, set(), 2)
    assert (planned.seconds, planned.shared) == (planned.cold_seconds, 0)


def test_a_plan_counts_what_is_kept():
    study = six(pairs=2)
    known = [rate for arm in study.arms for rate in rates(arm.recipe, 0.1, 0.01)]
    kept = {name for arm in study.arms for pair in (1, 2) for name in names_of(arm.recipe, pair, 2)}
    planned = plan(study, known, kept, 2)
    assert planned.shared == planned.phases == 24
    # 2 start for each of the 12 runs
    assert planned.seconds == pytest.approx(12 * 2)
    assert plan(study, known, kept, 4).shared == 12  # other threads make other bits


def test_runs_that_begin_alike_are_trained_after_one_another():
    study = six(pairs=2)
    orders = [study.arms[arm].recipe.order for arm, pair in study.training_order() if pair == 1]
    assert orders == [
        "head",
        "head > all",
        "head > all > head",
        "all",
        "all > head",
        "all > head > all",
    ]
    assert sorted(study.training_order()) == sorted(study.runs())
