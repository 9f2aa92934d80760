"""The contrast: one factor, equal budgets, or a sentence that says what stands in the way."""

from dataclasses import replace

from hypothesis import assume, given
from hypothesis import strategies as some

from tests.conftest import tiny_recipe
from tl_engine.analysis.budgets import Budget, forward_equivalents, steps
from tl_engine.analysis.contrast import contrast, factors_of
from tl_engine.catalog.presets import PRESETS
from tl_engine.errors import RecipeError
from tl_engine.recipe import Phase

ALL, HEAD = Phase("all", 2, 1e-5), Phase("head", 4, 1e-3)
FIRST = tiny_recipe(ALL, HEAD)


def between(first, second):
    costs = [Budget(steps(one), forward_equivalents(one), 0.0) for one in (first, second)]
    return contrast(first, second, tuple(costs))


def test_the_same_phases_in_another_order_are_an_order_and_comparable():
    for phases in ((HEAD, ALL), (ALL, HEAD)):
        met = between(FIRST, replace(FIRST, phases=phases))
        assert met.factors in ((), ("order",))
        assert met.refusal("A", "B") == ""


def test_other_phases_are_no_order_and_their_budgets_are_said():
    met = between(FIRST, replace(FIRST, phases=(ALL, HEAD, ALL)))
    assert met.factors == ("phases",)
    assert met.refusal("A", "B") == (
        "A and B cannot be compared: their budgets differ, optimizer steps by 33% and "
        "forward-equivalents by 60%."
    )
    assert met.refusal("A", "B", any_budget=True) == ""


def test_several_factors_are_listed_and_no_wish_makes_them_one():
    article = PRESETS["article"].study().arms[0].recipe
    guide = PRESETS["keras-guide"].study().arms[0].recipe
    met = between(article, guide)
    assert met.refusal("The article", "The guide", any_budget=True) == (
        "The article and The guide cannot be compared: they differ in 3 settings, order, head "
        "input and batchnorm."
    )


def test_a_subset_of_all_images_is_no_difference():
    assert factors_of(FIRST, replace(FIRST, train_images=FIRST.training_images)) == ()


def test_other_images_are_never_compared():
    met = between(FIRST, replace(FIRST, dataset="mnist"))
    assert met.refusal("A", "B", any_budget=True) == (
        "A and B cannot be compared: they are measured on other images."
    )
    assert met.fair() is None


def test_where_the_first_factor_cannot_be_fair_the_next_one_is():
    one = replace(FIRST, phases=(HEAD,))  # reversed, a single phase is itself
    first, rival = between(one, replace(FIRST, phases=(ALL,), batchnorm="adapt")).fair()
    assert (first, rival) == (one, replace(one, batchnorm="adapt"))


OTHERS = some.fixed_dictionaries(
    {},
    optional={
        "phases": some.lists(
            some.sampled_from([ALL, HEAD, Phase("head", 1, 1e-2)]), min_size=1, max_size=3
        ).map(tuple),
        "batch_size": some.sampled_from([8, 16]),
        "batchnorm": some.sampled_from(["as pretrained", "adapt"]),
        "backbone": some.just("efficientnet-lite0"),
        "dataset": some.sampled_from(["fashion-mini", "mnist"]),
        "image_size": some.sampled_from([16, 32, 64]),
    },
)


@given(OTHERS, some.booleans())
def test_the_fair_version_can_be_compared_where_there_is_one(changes, pretrained):
    pretrained = pretrained and "backbone" in changes
    try:
        other = replace(FIRST, pretrained=pretrained, **changes)
    except RecipeError:
        assume(False)
    for one, two in ((FIRST, other), (other, FIRST)):
        recipes = between(one, two).fair()
        if recipes is None:
            continue
        fair = between(*recipes)
        assert len(fair.factors) == 1
        assert fair.has_equal_budgets or fair.factors == ("batch size",)
        assert fair.first == one
