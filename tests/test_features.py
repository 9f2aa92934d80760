"""Features: training above a boundary is training through what lies below it.

Four families and boundaries of all in each run of the suite; THAW_ATTACKS=20 tries every one.
"""

import os
from dataclasses import make_dataclass, replace

import numpy as np
import pytest

from tests.attacks import some
from tl_engine.catalog.backbones import BACKBONES
from tl_engine.catalog.settings import Whole
from tl_engine.data.splits import Split
from tl_engine.learning import variables
from tl_engine.learning.device import prepare_device
from tl_engine.learning.feature_maker import COMPUTED_BY, NOT_IN_FEATURES, feature_key
from tl_engine.learning.model import boundary
from tl_engine.learning.network import Network
from tl_engine.recipe import SETTINGS, Phase, Recipe
from tl_engine.study import Seeds

prepare_device(os.cpu_count() or 1)
# TensorFlow sums in another order where these networks' graphs are cut; the others to the last bit.
ROUNDS = {"efficientnetb0": 1e-5, "efficientnetv2b0": 1e-5, "convnexttiny": 1e-5}
BOUNDARIES = [
    (name, free)
    for name, described in BACKBONES.items()
    for free in ("head", *range(1, len(described.blocks)))
]


@pytest.mark.long
@pytest.mark.parametrize(("name", "free"), some(BOUNDARIES, 4))
def test_training_above_a_boundary_is_training_through_what_lies_below(name, free, monkeypatch):
    recipe = Recipe(
        (Phase(free, 1, 1e-3),),
        backbone=name,
        pretrained=name == "efficientnet-lite0",
        image_size=max(32, BACKBONES[name].minimum_size),
        batch_size=8,
    )
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (32, 28, 28, 3), dtype=np.uint8)
    part = Split(pixels, random.integers(0, 10, 32), np.arange(32))
    network = Network(recipe, Seeds.of_pair(1))
    tensor = boundary(network.model, recipe, recipe.phases[0])
    assert tensor is not None, "more than one tensor crosses"
    told = BACKBONES[name].feature_bytes(free, recipe.head_input, recipe.image_size)
    assert told == pytest.approx(4 * np.prod(tensor.shape[1:]), rel=0.15)
    start = variables.copies_of(network.model.variables)
    ends = []
    for features in (True, False):
        variables.assign(network.model.variables, start)
        monkeypatch.setenv("THAW_FEATURES", "on" if features else "off")
        graphs = network.enter(recipe, recipe.phases[0])
        rows = part
        if features:
            rows = Split(graphs.below.predict(part), part.labels, part.indices)
        graphs.training.train(rows, part.labels, np.arange(32), 8, lambda done: None)
        ends.append(variables.copies_of(network.model.variables))
    for index, array in ends[0].items():
        np.testing.assert_allclose(array, ends[1][index], rtol=0, atol=ROUNDS.get(name, 0))


@pytest.mark.parametrize("name", ["tiny", "efficientnet-lite0"])
def test_a_feature_does_not_depend_on_its_place_nor_on_its_neighbours(name):
    recipe = Recipe(
        (Phase("head", 1, 1e-3),), backbone=name, pretrained=name != "tiny", image_size=32
    )
    below = Network(recipe, Seeds.of_pair(1)).enter(recipe, recipe.phases[0]).below
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (256, 28, 28, 3), dtype=np.uint8)
    rows, order = below.predict_batch(pixels), random.permutation(256)
    np.testing.assert_array_equal(below.predict_batch(pixels[order]), rows[order])
    for count in (32, 64, 96, 224):
        np.testing.assert_array_equal(below.predict_batch(pixels[:count]), rows[:count])


ENVIRONMENT = dict.fromkeys([*COMPUTED_BY, "fingerprint"], "as here")


def test_a_setting_that_a_later_version_adds_makes_other_features(monkeypatch):
    added = Whole(title="Sharpening", sentence="It is 1 to {}", most=9, step=1, example=2)
    field = ("sharpening", int, added.field(1))
    later = make_dataclass("Recipe", [field], bases=(Recipe,), frozen=True)
    monkeypatch.setitem(SETTINGS, "sharpening", added)
    phase = Phase("head", 1, 1e-3)
    keys = {feature_key(later((phase,), sharpening=n), phase, ENVIRONMENT) for n in (1, 2)}
    assert len(keys) == 2


@pytest.mark.parametrize("setting", ["phases", *SETTINGS])
def test_features_are_shared_where_no_setting_that_can_change_them_differs(setting):
    phase, others = (
        Phase("head", 1, 1e-3),
        {
            "phases": (Phase("head", 1, 1e-3), Phase("all", 2, 1e-5, "sgd")),
            "backbone": "tiny",
            "dataset": "cifar10",
            "head_input": "logits",
            "batchnorm": "adapt",
            "train_images": 100,
            "image_size": 96,
            "batch_size": 32,
            "precision": "mixed float16",
        },
    )
    recipe = Recipe((phase,))
    value = others.get(setting, not getattr(recipe, setting))
    changes = {setting: value, **({"pretrained": False} if value == "tiny" else {})}
    changed = replace(recipe, **changes)
    are_same = feature_key(recipe, phase, ENVIRONMENT) == feature_key(changed, phase, ENVIRONMENT)
    assert are_same == (setting in NOT_IN_FEATURES)


@pytest.mark.parametrize("fact", ENVIRONMENT)
def test_features_of_other_images_or_machines_are_others(fact):
    phase = Phase("head", 1, 1e-3)
    elsewhere = feature_key(Recipe((phase,)), phase, {**ENVIRONMENT, fact: "elsewhere"})
    assert elsewhere != feature_key(Recipe((phase,)), phase, ENVIRONMENT)
