"""Studies: arms that differ in their order, pairs that share their seeds."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.conftest import tiny_recipe, tiny_study
from tl_engine.analysis.budgets import forward_equivalents, steps
from tl_engine.catalog.presets import PRESETS, preset
from tl_engine.errors import CatalogError, RecipeError
from tl_engine.recipe import Phase
from tl_engine.study import (
    Arm,
    Expectation,
    Seeds,
    Study,
    name_arms,
    name_of_order,
    with_reversed,
)

ALL, HEAD = Phase("all", 2, 1e-5), Phase("head", 4, 1e-3)


def test_a_study_comes_back_from_plain_data():
    study = tiny_study(pairs=3)
    assert Study.from_dict(study.to_dict()) == study


def test_the_reversed_order_joins_once():
    recipe = tiny_recipe(ALL, HEAD)
    twice = with_reversed(with_reversed([recipe]))
    assert [arm.order for arm in twice] == ["all > head", "head > all"]


def test_an_order_that_is_its_own_reverse_gets_no_twin():
    recipe = tiny_recipe(ALL, HEAD, ALL)
    assert with_reversed([recipe]) == (recipe,)


@pytest.mark.parametrize(
    ("phases", "name"),
    [
        ((ALL, HEAD), "Fine-tune first"),
        ((HEAD, ALL), "Freeze first"),
        ((HEAD,), "Freeze only"),
        ((ALL,), "Fine-tune only"),
        ((ALL, HEAD, ALL), "Fine-tune, then freeze, then fine-tune"),
    ],
)
def test_orders_have_names_that_people_use(phases, name):
    assert name_of_order(tiny_recipe(*phases)) == name


@given(some.integers(1, 10_000), some.integers(1, 10_000))
def test_seeds_depend_on_the_pair_alone(one, other):
    assert Seeds.of_pair(one) == Seeds.of_pair(one)
    assert (Seeds.of_pair(one) == Seeds.of_pair(other)) == (one == other)
    assert all(0 <= seed < 2**31 for seed in Seeds.of_pair(one))


def test_every_epoch_has_a_seed_of_its_own():
    seeds = [Seeds.of_pair(1).for_epoch(epoch) for epoch in range(1, 200)]
    assert len(set(seeds)) == len(seeds)


def test_pairs_complete_early():
    assert list(tiny_study(pairs=2).runs()) == [(0, 1), (1, 1), (0, 2), (1, 2)]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"pairs": 0}, "1 to 100 paired seeds, got 0"),
        ({"pairs": "two"}, "got 'two'"),
        ({"title": "  "}, "1 to 200 characters"),
        ({"arms": ()}, "1 to 40 arms, got 0"),
        ({"arms": (Arm("a", tiny_recipe()), Arm("a", tiny_recipe(ALL)))}, "different names"),
    ],
)
def test_a_study_that_cannot_be_run_is_refused(changes, words):
    parts = {"title": "t", "arms": (Arm("a", tiny_recipe()),), **changes}
    with pytest.raises(RecipeError, match=words):
        Study(**parts)


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_makes_a_study(name):
    study = preset(name).study()
    assert study.arms
    assert Study.from_dict(study.to_dict()) == study


def test_try_it_runs_both_orders_and_nothing_else_differs():
    first, second = preset("try-it").study().arms
    assert first.recipe.reversed() == second.recipe


def test_the_article_s_run_is_the_article_s():
    recipe = preset("article").study().arms[0].recipe
    assert (recipe.backbone, recipe.dataset, recipe.head_input) == (
        "resnet50",
        "cifar10",
        "softmax",
    )
    assert (recipe.image_size, recipe.batch_size) == (224, 64)
    assert recipe.phases == (Phase("all", 2, 1e-5), Phase("head", 4, 1e-3))


def test_all_six_orders_are_six():
    orders = {arm.recipe.order for arm in preset("six-orders").study().arms}
    assert orders == {
        "head",
        "all",
        "head > all",
        "all > head",
        "all > head > all",
        "head > all > head",
    }


def test_an_unknown_preset_is_refused_with_the_names_there_are():
    with pytest.raises(CatalogError, match=r"'magic'.*try-it, article"):
        preset("magic")


def test_the_grid_is_every_order_with_every_head_input_and_says_so_in_its_names():
    study = preset("order-or-head-input").study()
    assert (len(study.arms), study.pairs) == (18, 10)
    assert len({arm.recipe for arm in study.arms}) == 18
    assert {arm.recipe.head_input for arm in study.arms} == {"pooled-avg", "logits", "softmax"}
    assert "Fine-tune first, softmax" in [arm.name for arm in study.arms]


def test_arms_are_named_after_what_differs():
    one = tiny_recipe(Phase("head", 1, 1e-2))
    names = [arm.name for arm in name_arms([one, replace(one, batchnorm="adapt", batch_size=8)])]
    assert names == [
        f"Freeze only, BatchNorm as pretrained, batch size {one.batch_size}",
        "Freeze only, BatchNorm adapt, batch size 8",
    ]
    assert [arm.name for arm in name_arms([one, one])] == ["Freeze only (1)", "Freeze only (2)"]


def test_arms_of_the_same_order_are_told_apart_by_their_epochs_then_their_rates():
    all_first = tiny_recipe(ALL, HEAD)
    longer = replace(all_first, phases=(replace(ALL, epochs=4), HEAD))
    faster = replace(all_first, phases=(replace(ALL, epochs=4, learning_rate=1e-4), HEAD))
    assert [arm.name for arm in name_arms([all_first, longer, faster, all_first.reversed()])] == [
        "Fine-tune first, 2 + 4 epochs",
        "Fine-tune first, 4 + 4 epochs, rates 1e-05 + 0.001",
        "Fine-tune first, 4 + 4 epochs, rates 0.0001 + 0.001",
        "Freeze first",
    ]


def test_does_fine_tuning_again_help_has_a_rival_that_costs_the_same():
    _, again, longer = preset("fine-tune-again").study().arms
    assert steps(again.recipe) == steps(longer.recipe)
    assert forward_equivalents(again.recipe) == forward_equivalents(longer.recipe)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "accuracy"}, "one of val_accuracy, val_loss, got 'accuracy'"),
        ({"smallest_difference": 0}, "above 0 and at most 100 points, got 0 points"),
        ({"expectation": Expectation("Nobody", 0.01)}, "names one of the arms, got 'Nobody'"),
        (
            {"expectation": Expectation("Freeze first", -1)},
            "above 0 and at most 100 points, got -100 points",
        ),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused(changes, words):
    with pytest.raises(RecipeError, match=words):
        replace(preset("try-it").study(), **changes)


def test_a_expectation_comes_back_unchanged():
    study = replace(preset("try-it").study(), expectation=Expectation("Freeze first", 0.01))
    assert Study.from_dict(json.loads(json.dumps(study.to_dict()))) == study


def test_a_twin_is_the_same_arm_and_its_reverse():
    study = preset("fine-tune-again").study()
    twin = study.twin(0, 7)
    assert [arm.recipe for arm in twin.arms] == [
        study.arms[0].recipe,
        study.arms[0].recipe.reversed(),
    ]
    assert (twin.pairs, twin.smallest_difference) == (7, study.smallest_difference)
    assert study.twin(1, 7) is None  # all, head, all reads the same from behind


def test_a_digest_tells_what_is_asked_and_not_what_it_is_called():
    study = preset("try-it").study()
    assert study.digest == replace(study, title="Another name").digest
    assert study.digest == Study.from_dict(json.loads(json.dumps(study.to_dict()))).digest
    others = [replace(study, pairs=2), replace(study, smallest_difference=0.01)]
    assert len({one.digest for one in [study, *others]}) == 3
