"""Recipes check themselves: what is accepted comes back unchanged, nonsense gets a sentence."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.conftest import tiny_recipe
from tl_engine.catalog.settings import OPTIMIZERS, PRECISIONS
from tl_engine.data.registry import checked
from tl_engine.errors import RecipeError
from tl_engine.recipe import Phase, Recipe

phases = some.builds(
    Phase,
    trainable=some.sampled_from(["head", "all", 1, 2]),
    epochs=some.integers(1, 1000),
    learning_rate=some.floats(1e-8, 10),
    optimizer=some.sampled_from(list(OPTIMIZERS)),
)
recipes = some.builds(
    Recipe,
    phases=some.lists(phases, min_size=1, max_size=4).map(tuple),
    train_images=some.none() | some.integers(10, 5000),
    image_size=some.integers(32, 1024),
    batch_size=some.integers(1, 4096),
    head_input=some.sampled_from(["pooled-avg", "pooled-max", "logits", "softmax"]),
    batchnorm=some.sampled_from(["as pretrained", "adapt"]),
    augmentation=some.booleans(),
    pretrained=some.booleans(),
    precision=some.sampled_from(list(PRECISIONS)),
)


@given(recipes)
def test_a_recipe_comes_back_from_plain_data(recipe):
    assert Recipe.from_dict(recipe.to_dict()) == recipe


@given(recipes)
def test_reversing_twice_gives_the_recipe_again(recipe):
    assert recipe.reversed().reversed() == recipe


@given(recipes)
def test_every_epoch_belongs_to_one_phase(recipe):
    history = []
    while following := recipe.next_epoch(history):
        history.append({"phase": following.phase, "val_loss": -following.epoch})
    where = [line["phase"] for line in history]
    assert where == sorted(where)
    assert [where.count(index) for index in range(len(recipe.phases))] == [
        phase.epochs for phase in recipe.phases
    ]


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"phases": ()}, "phases", "at least one phase"),
        ({"phases": (Phase("all", 0, 1e-3),)}, "phases.0.epochs", "got 0"),
        ({"phases": (Phase("all", 1.5, 1e-3),)}, "phases.0.epochs", "whole epochs, got 1.5"),
        ({"phases": (Phase("all", True, 1e-3),)}, "phases.0.epochs", "got True"),
        ({"phases": (Phase("all", 1, -1e-3),)}, "phases.0.learning_rate", "above 0.*got -0.001"),
        ({"phases": (Phase("all", 1, 1e9),)}, "phases.0.learning_rate", "at most 10"),
        ({"phases": (Phase("all", 1, math.nan),)}, "phases.0.learning_rate", "got nan"),
        ({"phases": (Phase("all", 1, "fast"),)}, "phases.0.learning_rate", "got 'fast'"),
        ({"phases": (Phase("tail", 1, 1e-3),)}, "phases.0.trainable", "got 'tail'"),
        ({"phases": (Phase(0, 1, 1e-3),)}, "phases.0.trainable", "got 0"),
        ({"phases": (Phase(99, 1, 1e-3),)}, "phases.0.trainable", "got the top 99"),
        ({"phases": (Phase("all", 1, 1e-3, "lion"),)}, "phases.0.optimizer", "got 'lion'"),
        ({"train_images": 5001}, "train_images", "5,000 training images, got 5,001"),
        ({"train_images": 3}, "train_images", "each of the 10 classes"),
        ({"train_images": 0}, "train_images", "got 0"),
        ({"image_size": 8, "backbone": "resnet50"}, "image_size", "ResNet-50 takes images of"),
        ({"image_size": 5000}, "image_size", "to 1024 px, got 5000"),
        ({"batch_size": 0}, "batch_size", "got 0"),
        ({"head_input": "logits"}, "head_input", "no ImageNet classifier"),
        ({"head_input": "nose"}, "head_input", "got 'nose'"),
        ({"backbone": "alexnet"}, "backbone", "got 'alexnet'"),
        ({"backbone": ["tiny"]}, "backbone", "a name of 1 to 100 characters"),
        ({"dataset": "imagenet"}, "dataset", "got 'imagenet'"),
        ({"precision": "float8"}, "precision", "got 'float8'"),
        ({"xla": True, "augmentation": True}, "xla", "XLA cannot compile augmentation"),
        ({"xla": "yes"}, "xla", "XLA is on or off, got 'yes'"),
        ({"pretrained": True}, "pretrained", "no published weights"),
        ({"batchnorm": "sometimes"}, "batchnorm", "got 'sometimes'"),
        ({"augmentation": "yes"}, "augmentation", "on or off"),
    ],
)
def test_nonsense_is_refused_beside_its_field(changes, field, words):
    order = changes.pop("phases", (Phase("head", 1, 1e-3),))
    with pytest.raises(RecipeError, match=words) as refused:
        checked(Recipe(order, **{"backbone": "tiny", "pretrained": False, **changes}))
    assert field in [problem.field for problem in refused.value.problems]


def test_every_refused_field_is_named_at_once():
    with pytest.raises(RecipeError, match="got 0") as refused:
        tiny_recipe(Phase("all", 0, -1.0), batch_size=0)
    assert [problem.field for problem in refused.value.problems] == [
        "phases.0.epochs",
        "phases.0.learning_rate",
        "batch_size",
    ]


@pytest.mark.parametrize("data", [{}, {"phases": 3}, {"phases": [{"trainable": "all"}]}])
def test_plain_data_that_is_no_recipe_is_refused(data):
    with pytest.raises(RecipeError, match=r"phase|Phase"):
        Recipe.from_dict(data)


def test_an_unknown_setting_is_refused_by_name():
    with pytest.raises(RecipeError, match="'colour' is no setting of a recipe"):
        Recipe.from_dict({**tiny_recipe().to_dict(), "colour": "blue"})


def test_features_that_would_fill_the_disk_are_not_kept_and_a_sentence_says_so():
    settings = {"backbone": "resnet50", "dataset": "cifar10", "pretrained": False}
    recipe = Recipe((Phase(2, 1, 1e-3), Phase("head", 1, 1e-3)), image_size=224, **settings)
    # 50,000 images of 28 x 28 x 512 numbers of 4 bytes
    assert "would take 80.3 GB, and at most 2 GB" in recipe.why_no_features(recipe.phases[0])
    assert recipe.keeps_features(recipe.phases[1])
    small = Recipe((Phase(2, 1, 1e-3),), image_size=32, train_images=10_000, **settings)
    assert small.keeps_features(small.phases[0])
