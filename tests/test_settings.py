"""Settings are described once: form, check, command line, arms' names and document follow."""

import dataclasses
import json

import pytest

from tests.conftest import PROJECT
from tests.test_pages import visit
from tl_engine.analysis.contrast import differences
from tl_engine.analysis.work import rate_key
from tl_engine.catalog.settings import Choice, Entry, Switch, Whole
from tl_engine.cli.study_options import setting, settings_table
from tl_engine.errors import RecipeError
from tl_engine.recipe import SETTINGS, Phase, Recipe
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.phase_ends import names_of
from tl_engine.study import name_arms


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


@pytest.fixture
def invented(monkeypatch):
    """Recipes with one more setting, as a later version may have them."""
    sharpen = Whole(title="Sharpening", sentence="Sharpening is 1 to {}", most=9, step=1, example=2)
    field = ("sharpening", int, sharpen.field(1))
    kind = dataclasses.make_dataclass("Recipe", [field], bases=(Recipe,), frozen=True)
    monkeypatch.setitem(SETTINGS, "sharpening", sharpen)
    return kind


def keys_of(recipe):
    """All keys under which something is cached or counted, by what they are keys of."""
    phase = recipe.phases[0]
    return {
        "rates of steps": json.dumps(rate_key(recipe, phase)),
        "ends of phases": names_of(recipe, 1, 2)[0],
        "evidence": recipe_id(recipe),
    }


def test_a_setting_that_is_added_changes_every_key(invented):
    phases = (Phase("head", 1, 1e-3),)
    one, other = keys_of(invented(phases)), keys_of(invented(phases, sharpening=2))
    assert all(one[name] != other[name] for name in one)


def test_a_setting_that_is_added_is_checked_written_read_and_compared(invented):
    phases = (Phase("head", 1, 1e-3),)
    with pytest.raises(RecipeError, match="Sharpening is 1 to 9, got 10"):
        invented(phases, sharpening=10)
    assert setting("sharpening=3") == ("sharpening", 3)
    recipes = [invented(phases), invented(phases, sharpening=2)]
    assert [arm.name for arm in name_arms(recipes)] == [
        "Freeze only, sharpening 1",
        "Freeze only, sharpening 2",
    ]
    table = differences({str(n): recipe.to_dict() for n, recipe in enumerate(recipes)})
    assert table.loc["sharpening"].tolist() == ["1", "2"]
    assert invented.from_dict(recipes[1].to_dict()) == recipes[1]


def test_a_setting_that_is_added_has_a_field_in_the_form(invented, store, monkeypatch):
    monkeypatch.setattr("ui.launch.study_form.Recipe", invented)
    monkeypatch.setattr("tl_engine.catalog.presets.Recipe", invented)
    app = visit("pages/1_Launch.py", store, monkeypatch)
    assert app.number_input(key="form-sharpening").value == 1
    app.number_input(key="form-sharpening").set_value(12).run()
    assert [error.value for error in app.error] == ["Sharpening is 1 to 9, got 12\\."]
