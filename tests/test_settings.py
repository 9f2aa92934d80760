"""Settings are described once: form, check, command line, arms' names and document follow."""

import dataclasses

import pytest

from tests.conftest import PROJECT
from tl_engine.catalog.settings import Choice, Entry, Switch, Whole
from tl_engine.cli.study_options import setting, settings_table
from tl_engine.errors import RecipeError
from tl_engine.recipe import SETTINGS, Phase, Recipe


def test_every_field_of_a_recipe_but_phases_and_snapshot_is_described():
    names = [one.name for one in dataclasses.fields(Recipe)]
    assert [name for name in names if name not in SETTINGS] == ["phases", "snapshot"]


def test_every_default_is_accepted():
    recipe = Recipe((Phase("head", 1, 1e-3),))
    assert not any(one.problem(getattr(recipe, name)) for name, one in SETTINGS.items())


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("augmentation=yes", True),
        ("train_images=all", None),
        ("train_images=500", 500),
        ("head_input=logits", "logits"),
        ("dataset=anything", "anything"),
    ],
)
def test_the_command_line_reads_a_value_as_its_setting_does(text, value):
    assert setting(text) == (text.partition("=")[0], value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("augmentation=perhaps", "true or false, got 'perhaps'"),
        ("train_images=many", 'a whole number such as 500, or "all", got'),
        ("image_size=1e2", "a whole number such as 96, got '1e2'"),
        ("colour=blue", "NAME one of"),
    ],
)
def test_the_command_line_says_what_would_be_right(text, words):
    with pytest.raises(RecipeError, match=words):
        setting(text)


def test_a_value_in_an_arm_s_name_says_whose_it_is():
    assert Switch(title="Tilt").in_name("tilt", False) == "no tilt"
    assert Whole(title="n", sentence="", most=9, step=1, example=1).in_name("folds", 3) == "folds 3"
    assert Choice(title="B", values={"x": "X"}, prefix="BN ").in_name("b", "x") == "BN x"
    assert Entry(title="Data").in_name("dataset", "cifar10") == "cifar10"


def test_the_document_lists_every_setting_as_the_code_has_it():
    text = (PROJECT / "docs" / "settings.md").read_text()
    assert settings_table() in text, "make settings"
