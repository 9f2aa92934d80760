"""What comes next in a run: decided by its recipe and its history alone."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import tiny_recipe
from tl_engine.errors import RecipeError
from tl_engine.recipe import Phase

LOSSES = st.floats(0.0, 10.0, allow_nan=False)


def play(recipe, losses):
    """The history of a run whose validation losses are given, one after another."""
    history = []
    for loss in losses:
        following = recipe.next_epoch(history)
        if following is None:
            break
        history.append({"phase": following.phase, "val_loss": loss})
    return history


def test_without_patience_every_epoch_is_trained():
    recipe = tiny_recipe(Phase("all", 2, 1e-3), Phase("head", 3, 1e-2))
    history = play(recipe, [1.0] * 10)
    assert [line["phase"] for line in history] == [0, 0, 1, 1, 1]


def test_a_phase_ends_after_so_many_epochs_without_gain_and_the_next_begins():
    recipe = tiny_recipe(Phase("all", 9, 1e-3, patience=2), Phase("head", 2, 1e-2))
    history = play(recipe, [1.0, 0.9, 0.9, 0.95, 0.5, 0.6])
    assert [line["phase"] for line in history] == [0, 0, 0, 0, 1, 1]


@given(st.lists(LOSSES, min_size=1, max_size=30), st.integers(1, 30), st.integers(1, 10))
def test_whoever_goes_on_from_half_a_history_ends_where_the_others_do(losses, epochs, patience):
    recipe = tiny_recipe(Phase("all", epochs, 1e-3, patience=patience), Phase("head", 5, 1e-2))
    whole = play(recipe, losses)
    for cut in range(len(whole)):
        again = whole[:cut]
        while len(again) < len(whole) and (following := recipe.next_epoch(again)):
            again.append({"phase": following.phase, "val_loss": losses[len(again)]})
        assert again == whole


@given(st.lists(LOSSES, max_size=20), st.integers(1, 10))
def test_patience_never_ends_a_phase_that_just_gained(losses, patience):
    phase = Phase("all", 100, 1e-3, patience=patience)
    best = min(losses, default=11.0)
    assert not phase.is_over([*losses, best - 0.1])


def test_a_constant_rate_stays_to_the_last_bit():
    phase = Phase("all", 7, 0.1 + 0.2)
    assert {phase.learning_rate_at(number) for number in range(1, 8)} == {0.1 + 0.2}


def test_a_cosine_begins_at_the_rate_and_falls_to_almost_nothing():
    phase = Phase("all", 10, 1e-3, schedule="cosine")
    rates = [phase.learning_rate_at(number) for number in range(1, 11)]
    assert rates[0] == 1e-3
    assert rates == sorted(rates, reverse=True)
    assert rates[5] == pytest.approx(5e-4)
    assert rates[-1] == pytest.approx(1e-3 * (1 + math.cos(0.9 * math.pi)) / 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [({"schedule": "linear"}, "A schedule is one of"), ({"patience": 0}, "ends early after 1 to")],
)
def test_what_is_no_schedule_is_refused_with_a_sentence(change, words):
    with pytest.raises(RecipeError, match=words):
        tiny_recipe(Phase("all", 1, 1e-3, **change))
