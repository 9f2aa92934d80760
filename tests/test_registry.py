"""Datasets that people import, and recipes whose entries are gone: read always, launched never."""

import json
import shutil

import numpy as np
import pytest

from tests.conftest import tiny_recipe
from tests.helpers import drain_in_a_process
from tests.test_cli import out
from tests.test_pages import assert_whole, visit, words
from tl_engine import launch
from tl_engine.catalog.datasets import Dataset
from tl_engine.data import registry, sources
from tl_engine.data.registry import checked, checked_study
from tl_engine.errors import CatalogError, DataUnavailable, RecipeError
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunState, RunStore, joined_history
from tl_engine.study import Study, name_arms, with_reversed
from tl_engine.text import escape

SHAPES = Dataset(
    "shapes-1f", "Shapes", ("disc", "square", "star"), 16, 12, 3, 90, 0, 30, "CC0", "me"
)


@pytest.fixture
def imported(tmp_path, monkeypatch):
    """A folder of imported datasets with one in it."""
    monkeypatch.setenv("THAW_DATASETS_DIR", str(tmp_path / "datasets"))
    write_dataset(tmp_path / "datasets" / SHAPES.name)
    sources._load.cache_clear()
    return tmp_path / "datasets"


def write_dataset(folder):
    """Images of three colours, so that something can be learned."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 90), ("test", 30)):
        labels = np.arange(count) % 3
        images = random.integers(0, 80, (count, 16, 12, 3), dtype=np.uint8)
        images[np.arange(count), ..., labels] += 150
        np.save(folder / f"{part}_images.npy", images)
        np.save(folder / f"{part}_labels.npy", labels)
    (folder / registry.DESCRIPTION).write_text(json.dumps(SHAPES.to_dict()))


def recipe_of(name="shapes-1f"):
    settings = {"backbone": "tiny", "pretrained": False, "image_size": 16, "batch_size": 16}
    return Recipe((Phase("all", 1, 1e-3), Phase("head", 1, 1e-2)), dataset=name, **settings)


def test_a_description_comes_back_from_plain_data():
    assert Dataset.from_dict(json.loads(json.dumps(SHAPES.to_dict()))) == SHAPES
    assert Dataset.from_dict({**SHAPES.to_dict(), "of_a_later_version": 1}) == SHAPES


def test_an_imported_dataset_stands_beside_those_built_in(imported):
    assert registry.names()[-1] == "shapes-1f"
    assert registry.dataset("shapes-1f") == SHAPES
    images = sources.load("shapes-1f")
    assert images.train.images.shape == (90, 16, 12, 3)
    assert images.validation is None


def test_a_recipe_is_made_of_an_imported_dataset_with_its_description(imported):
    recipe = checked(recipe_of())
    assert recipe.described_dataset == SHAPES
    assert (recipe.training_images, recipe.validation_images) == (81, 9)
    with pytest.raises(RecipeError, match="Shapes has 81 training images, got 82"):
        checked(Recipe(recipe.phases, dataset="shapes-1f", train_images=82))


def test_what_is_gone_from_registry_and_catalog_is_read_and_not_launched():
    recipe = Recipe.from_dict({**tiny_recipe().to_dict(), "dataset": "gone", "backbone": "old-net"})
    assert (recipe.dataset, recipe.backbone, recipe.total_epochs) == ("gone", "old-net", 2)
    with pytest.raises(RecipeError, match=r"Dataset is one of .*got 'gone'") as refused:
        checked(recipe)
    assert [problem.field for problem in refused.value.problems] == ["dataset", "backbone"]
    with pytest.raises(CatalogError, match="no dataset 'gone'"):
        _ = recipe.validation_images


def test_a_study_brings_the_descriptions_of_its_datasets(imported):
    study = checked_study(Study("Shapes", name_arms([recipe_of()])))
    plain = json.loads(json.dumps({"study": study.to_dict(), "datasets": study.datasets()}))
    again = Study.from_dict(plain["study"], plain["datasets"])
    assert again == study
    assert again.arms[0].recipe.described_dataset == SHAPES


@pytest.mark.parametrize("name", ["../shapes-1f", "SHAPES-1F", "", ".", "shapes-1f/../shapes-1f"])
def test_a_name_is_no_path(imported, name):
    with pytest.raises(CatalogError):
        registry.dataset(name)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": 1}', '{"class_names": 3}'])
def test_a_description_that_cannot_be_read_is_said_in_a_sentence(imported, text):
    (imported / "shapes-1f" / registry.DESCRIPTION).write_text(text)
    with pytest.raises(CatalogError, match="'shapes-1f' cannot be read"):
        registry.dataset("shapes-1f")
    with pytest.raises(DataUnavailable, match="cannot be read"):
        sources.load("shapes-1f")


def test_what_a_process_that_died_left_beside_the_arrays_is_not_read(imported):
    (imported / SHAPES.name / ".test_labels.npy.abc.npy").write_bytes(b"half")
    assert len(sources.load(SHAPES.name).train) == 90


def test_images_that_do_not_fit_their_description_are_refused_with_what_to_do(imported):
    np.save(imported / "shapes-1f" / "train_labels.npy", np.full(90, 3))
    with pytest.raises(DataUnavailable, match=r"labels should be 0 to 2.*import them again"):
        sources.load("shapes-1f")


def test_a_study_whose_dataset_is_gone_is_neither_launched_nor_cloned(
    imported, store, monkeypatch, capsys, launches
):
    study = checked_study(Study("Shapes", name_arms([recipe_of()])))
    folder = launch(study, store)
    assert launches.started == [("worker",)]
    shutil.rmtree(imported / SHAPES.name)
    sentence = f"Dataset is one of {', '.join(registry.names())}, got 'shapes-1f'."
    with pytest.raises(RecipeError) as refused:
        launch(study, store)
    assert str(refused.value) == sentence
    clone = ["clone", folder.id, "--detach", "--runs-dir", store.root]
    assert out(capsys, *clone) == (2, "", f"dataset: {sentence}\n")
    page = visit("pages/1_Launch.py", store, monkeypatch, clone=folder.id)
    assert [error.value for error in page.error] == [escape(sentence)]
    assert [each.id for each in store.studies()] == [folder.id]


@pytest.fixture
def trained(store, imported):
    """A study of two orders on imported images, trained by a real worker."""
    recipes = with_reversed([recipe_of()])
    study = store.create(checked_study(Study("My shapes", name_arms(recipes))))
    drain_in_a_process(store)
    assert [run.state for run in study.runs()] == [RunState.FINISHED] * 2
    return study


@pytest.mark.long
def test_runs_outlive_the_images_that_they_were_trained_on(
    trained, imported, monkeypatch, capsys, launches
):
    before = joined_history(trained.runs())
    shutil.rmtree(imported)
    store = RunStore(trained.path.parent)
    (study,) = store.studies()
    assert [run.state for run in study.runs()] == [RunState.FINISHED] * 2
    assert study.runs()[0].recipe.described_dataset == SHAPES
    assert joined_history(study.runs()).equals(before)
    for command in (["list"], ["show", study.runs()[0].id], ["compare", study.id]):
        code, printed, _ = out(capsys, *command, "--runs-dir", store.root)
        assert code == 0
        assert study.id in printed or "1 pair: a look" in printed
    for page, text in {
        "app.py": "1 pair: a look",
        "pages/1_Launch.py": "What will run",
        "pages/2_Compare.py": "1 pair: a look",
        "pages/3_Classify.py": "The images cannot be read",
        "pages/4_Explain.py": "The run is too short",
    }.items():
        app = visit(page, store, monkeypatch, runs=study.id)
        assert_whole(app)
        assert text in words(app)
