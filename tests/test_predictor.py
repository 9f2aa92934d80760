"""Predictors: a process that classifies as the run did, and survives what is asked of it."""

import os
from collections import namedtuple

import numpy as np
import pytest

from tests.conftest import tiny_recipe, tiny_study
from tl_engine.data import sources
from tl_engine.errors import PredictionError, StoreError
from tl_engine.execution.predictor import Predictor, ranked
from tl_engine.learning.device import prepare_device
from tl_engine.recipe import Phase
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.runs.run_outputs import MODEL_FORMATS, ModelFormat, model_file, probabilities
from tl_engine.study import Study, name_arms

prepare_device(os.cpu_count() or 1)


@pytest.fixture(scope="module")
def predictor(finished):
    with Predictor(RunStore(finished.path.parent)) as predictor:
        yield predictor


def test_a_predictor_says_what_the_run_said(predictor, finished):
    run = finished.runs()[0]
    pictures = np.array(sources.load("fashion-mini").validation.images[:20])
    answer = predictor.classify(run, pictures)
    stored = probabilities(run)["validation"][:20]
    np.testing.assert_allclose(answer.probabilities, stored, atol=1e-3)
    assert answer.as_seen.shape == (20, 16, 16, 3)
    assert answer.as_seen.dtype == np.uint8


def test_two_models_are_kept_apart(predictor, finished):
    picture = np.array(sources.load("fashion-mini").test.images[:1])
    one, other = (predictor.classify(run, picture).probabilities for run in finished.runs())
    assert (one != other).any()


def test_runs_of_the_same_network_share_it_and_are_told_apart_in_any_order(finished):
    from tl_engine.learning.network import load_network
    from tl_engine.learning.prediction_server import FinishedNetworks

    picture = np.array(sources.load("fashion-mini").test.images[:1])
    networks = FinishedNetworks(RunStore(finished.path.parent))
    first, second = finished.runs()
    alone = {r.id: load_network(r).inference.predict_batch(picture) for r in (first, second)}
    used = set()
    for run in (first, second, second, first):
        used.add(id(networks.of(run.id)))
        said = networks.probabilities(run.id, picture)
        np.testing.assert_array_equal(said, alone[run.id])
    assert len(used) == 1


def test_after_a_run_that_cannot_be_read_the_others_say_the_same(finished, tmp_path):
    import shutil

    from tl_engine.learning.prediction_server import FinishedNetworks

    shutil.copytree(finished.path, tmp_path / "runs" / finished.id)
    store = RunStore(tmp_path / "runs")
    first, second = store.study(finished.id).runs()
    (file,) = second.path.glob("model-*.npz")
    file.write_bytes(file.read_bytes()[:-10])
    networks, picture = FinishedNetworks(store), np.zeros((1, 28, 28, 3), np.uint8)
    said = networks.of(first.id).inference.predict_batch(picture)
    with pytest.raises(StoreError, match="is damaged"):
        networks.of(second.id)
    np.testing.assert_array_equal(networks.of(first.id).inference.predict_batch(picture), said)


def test_a_picture_passes_a_backbone_that_nobody_changed_once_for_all_its_runs(store, monkeypatch):
    from tl_engine.learning.batches import InferenceGraph
    from tl_engine.learning.network import load_network
    from tl_engine.learning.prediction_server import FinishedNetworks
    from tl_engine.learning.training import train

    recipes = [tiny_recipe(Phase("head", 1, rate)) for rate in (1e-2, 1e-3)]
    recipes.append(tiny_recipe(Phase("all", 1, 1e-3)))
    runs = store.create(Study("Rates", name_arms(recipes))).runs()
    for run in map(ClaimedRun, runs):
        run.begin()
        train(run)
        run.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    first, second, tuned = runs
    pictures = [np.array(sources.load("fashion-mini").test.images[n : n + 1]) for n in (0, 1)]
    alone = {
        (r.id, n): load_network(r).inference.predict_batch(p)
        for r in runs
        for n, p in enumerate(pictures)
    }
    passes, predict = [], InferenceGraph.predict_batch

    def counting(graph, inputs):
        passes.append(inputs.ndim == 4)
        return predict(graph, inputs)

    monkeypatch.setattr(InferenceGraph, "predict_batch", counting)
    networks, expected = FinishedNetworks(store), [1, 1, 2, 3, 4, 5]
    asked = [(first, 0), (second, 0), (tuned, 0), (first, 1), (tuned, 1), (second, 0)]
    for (run, number), count in zip(asked, expected, strict=True):
        said = networks.probabilities(run.id, pictures[number])
        np.testing.assert_allclose(said, alone[run.id, number], atol=1e-6)
        assert sum(passes) == count


def test_a_request_of_another_verb_is_refused_in_a_sentence(predictor, finished):
    run, picture = finished.runs()[0], {"images": np.zeros((1, 28, 28, 3), np.uint8)}
    child = predictor._child
    with pytest.raises(PredictionError, match=r"classify or preprocess, got .* 'paint'"):
        predictor.request("paint", run, picture, colour="red")
    assert predictor._child is child
    with pytest.raises(PredictionError, match="The model cannot preprocess: "):
        predictor.request("preprocess", run, {})
    assert predictor.request("preprocess", run, picture)["images"].shape == (1, 16, 16, 3)


def test_what_is_no_request_is_answered_with_a_sentence_and_unpickles_nothing(finished):
    import io

    from tl_engine.execution.predictor import HEADER, pack, unpack
    from tl_engine.learning.prediction_server import FinishedNetworks, respond

    pickled = io.BytesIO()
    np.savez(pickled, **{HEADER: np.array([{}], dtype=object)})
    networks = FinishedNetworks(RunStore(finished.path.parent))
    for message in (b"", b"nonsense", pack("no request", {}), pickled.getvalue()):
        sentence, arrays = unpack(respond(networks, message))
        assert sentence.startswith("The model cannot ")
        assert arrays == {}


def test_a_response_that_takes_too_long_ends_the_child(finished, monkeypatch):
    monkeypatch.setattr("tl_engine.execution.predictor.RESPONSE_SECONDS", 0.01)
    run, pixels = finished.runs()[0], np.zeros((1, 28, 28, 3), np.uint8)
    with Predictor(RunStore(finished.path.parent)) as slow:
        with pytest.raises(PredictionError, match="gave no answer in 0 s"):
            slow.classify(run, pixels)
        assert slow._child is None


@pytest.mark.parametrize("shape", [(28, 28, 3), (1, 32, 32, 3), (1, 28, 28, 1)])
def test_pictures_of_another_size_are_refused(predictor, finished, shape):
    with pytest.raises(PredictionError, match="28 x 28 x 3 pixels, got"):
        predictor.classify(finished.runs()[0], np.zeros(shape, np.uint8))


def test_a_run_that_has_not_finished_is_refused(store):
    run = store.create(tiny_study()).runs()[0]
    with Predictor(store) as predictor, pytest.raises(PredictionError, match="is queued"):
        predictor.classify(run, np.zeros((1, 28, 28, 3), np.uint8))


def test_a_dead_process_is_replaced(predictor, finished):
    run, picture = finished.runs()[0], np.zeros((1, 28, 28, 3), np.uint8)
    before = predictor.classify(run, picture).probabilities
    predictor._child.kill()
    predictor._child.wait()
    np.testing.assert_array_equal(predictor.classify(run, picture).probabilities, before)


def test_a_damaged_checkpoint_is_a_sentence(finished, tmp_path):
    import shutil

    shutil.copytree(finished.path.parent, tmp_path / "runs")
    store = RunStore(tmp_path / "runs")
    run = store.study(finished.id).runs()[0]
    (file,) = run.path.glob("model-*.npz")
    file.write_bytes(file.read_bytes()[:-10])
    with Predictor(store) as predictor, pytest.raises(PredictionError, match="is damaged"):
        predictor.classify(run, np.zeros((1, 28, 28, 3), np.uint8))


def test_the_most_likely_classes_come_first():
    top = ranked(np.array([0.1, 0.6, 0.3]), ["a", "b", "c"], top=2)
    assert [(one.label, one.probability) for one in top] == [("b", 0.6), ("c", 0.3)]


def test_an_h5_file_is_not_begun_where_the_disk_has_no_room(finished, monkeypatch):
    from tl_engine.learning.results import export_model

    full = namedtuple("usage", "free")(1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: full)
    with pytest.raises(StoreError, match=r"Disk full: \d+ MB needed for model.h5"):
        export_model(finished.runs()[0], "h5")
    assert model_file(finished.runs()[0], "h5") is None


def test_a_format_is_a_row_of_the_table(finished, monkeypatch):
    from tl_engine.learning.results import export_model

    named = ModelFormat("a .txt file", lambda model, path: path.write_text(model.name))
    monkeypatch.setitem(MODEL_FORMATS, "txt", named)
    run = finished.runs()[0]
    export_model(run, "txt")
    file = model_file(run, "txt")
    assert file.read_text() == "thaw"
    file.unlink()
