"""Looking inside real runs: it changes nothing, and tells the same whatever befell the run."""

import itertools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import tiny_recipe
from tests.test_training import SEEDS, assert_same_bits, begun
from tl_engine.catalog.backbones import BACKBONES
from tl_engine.data.corruptions import Probe
from tl_engine.data.splits import Split
from tl_engine.learning import phase_diagnosis, variables
from tl_engine.learning.activations import ActivationReader, model_inside
from tl_engine.learning.model import build_model
from tl_engine.learning.network import Network
from tl_engine.learning.phase_training import Ended
from tl_engine.learning.training import train
from tl_engine.recipe import OPTIMIZERS, Phase, Recipe
from tl_engine.runs import ClaimedRun

ALL, HEAD = Phase("all", 2, 1e-3), Phase("head", 2, 1e-2)
MOVING = {"augmentation": True, "batchnorm": "adapt"}
"""With dropout, which the tiny backbone has: everything that has a state of its own."""


@pytest.fixture(autouse=True)
def room_to_look(monkeypatch):
    """Tiny runs could not afford a probe; these may."""
    monkeypatch.setattr("tl_engine.data.corruptions.PROBE_SHARE", 1.0)
    monkeypatch.setattr("tl_engine.data.corruptions.PROBE_IMAGES", (64,))
    monkeypatch.setattr("tl_engine.data.corruptions.BETWEEN", (3,))


def trained(store, *phases, **changes):
    run = begun(store, *phases, **changes)
    train(run)
    return run


def told(run):
    """The diagnoses of a run's phases, as they are on disk."""
    return [phase["diagnosis"] for phase in run.scores["phases"]]


def drifts(state, name="drift"):
    return [block[name] for block in state["blocks"]]


@pytest.fixture
def ending(monkeypatch):
    """Let the run's process end at its nth commit."""

    def end_at(number):
        commit, seen = ClaimedRun.commit, []

        def commit_and_end(run, state):
            commit(run, state)
            seen.append(state)
            if len(seen) == number:
                raise Ended

        monkeypatch.setattr(ClaimedRun, "commit", commit_and_end)

    return end_at


def test_a_run_has_the_same_bits_whether_it_is_looked_at_or_not(store, monkeypatch):
    looked_at = trained(store, ALL, HEAD, ALL, **MOVING)
    monkeypatch.setenv("THAW_DIAGNOSIS", "off")
    alone = trained(store, ALL, HEAD, ALL, **MOVING)
    assert_same_bits(looked_at, alone)
    assert all("end" in one for one in told(looked_at))
    assert all("diagnosis" not in phase for phase in alone.scores["phases"])


def test_a_run_that_was_resumed_has_the_same_bits_whether_it_is_looked_at_or_not(
    store, monkeypatch, ending
):
    """Looking builds the network of the beginning again."""
    monkeypatch.setenv("THAW_DIAGNOSIS", "off")
    whole = trained(store, ALL, HEAD, ALL, **MOVING)
    monkeypatch.setenv("THAW_DIAGNOSIS", "on")
    again = begun(store, ALL, HEAD, ALL, **MOVING)
    ending(3)
    with pytest.raises(Ended):
        train(again)
    monkeypatch.setattr("tl_engine.learning.network._last", None)
    train(again)
    assert_same_bits(whole, again)


@pytest.mark.parametrize("commits", [1, 2, 3])
def test_a_run_that_was_resumed_tells_the_same(store, monkeypatch, ending, commits):
    """Inside its first phase, between two, and inside its second."""
    monkeypatch.setenv("THAW_CACHE_GB", "1")
    phases = (ALL, Phase("all", 2, 1e-4), HEAD)
    again = begun(store, *phases)
    ending(commits)
    with pytest.raises(Ended):
        train(again)
    monkeypatch.setattr("tl_engine.learning.network._last", None)
    train(again)
    monkeypatch.setenv("THAW_CACHE_GB", "0")
    assert told(again) == told(trained(store, *phases))


def test_where_the_beginning_of_a_phase_is_lost_its_path_alone_is_missing(store, ending):
    again = begun(store, ALL, Phase("all", 2, 1e-4))
    ending(3)
    with pytest.raises(Ended):
        train(again)
    train(again)
    first, second = told(again)
    assert first["path"]["at"] == [0, 0.25, 0.5, 0.75, 1]
    assert second["path"] == {"skipped": phase_diagnosis.NO_START}
    assert second["end"] == told(trained(store, ALL, Phase("all", 2, 1e-4)))[1]["end"]


def test_a_phase_that_was_taken_over_brings_its_diagnosis(store, monkeypatch):
    monkeypatch.setenv("THAW_CACHE_GB", "1")
    first = trained(store, ALL, HEAD)
    monkeypatch.setattr("tl_engine.learning.network._last", None)
    second = trained(store, ALL, Phase("head", 1, 1e-3))
    assert "shared" in second.scores["phases"][0]
    assert told(second)[0] == told(first)[0]
    assert told(second)[1]["start"] == told(first)[0]["end"]
    monkeypatch.setenv("THAW_CACHE_GB", "0")
    assert told(second) == told(trained(store, ALL, Phase("head", 1, 1e-3)))


def test_after_a_phase_with_another_probe_the_start_is_looked_at_anew(store, monkeypatch):
    monkeypatch.setenv("THAW_CACHE_GB", "1")
    trained(store, ALL)
    monkeypatch.setattr("tl_engine.data.corruptions.PROBE_IMAGES", (128,))
    first, second = told(trained(store, ALL, HEAD))
    assert (first["images"], second["images"]) == (64, 128)
    assert second["path"]["loss"][0] == second["start"]["loss"] != first["end"]["loss"]


def test_the_losses_of_a_phase_s_steps_are_kept_and_make_its_running_loss(store):
    run = trained(store, Phase("all", 1, 1e-3), Phase("head", 2, 1e-2), batch_size=36)
    images, size = run.epochs()[0]["images"], run.recipe.batch_size
    sizes = np.diff([*range(0, images, size), images])
    epochs = []
    for phase in run.scores["phases"]:
        assert phase["steps"]["first"] == phase["steps"]["last"], "too few steps to leave any out"
        epochs += np.split(np.array(phase["steps"]["first"]), phase["epochs"])
    means = [np.average(losses, weights=sizes) for losses in epochs]
    assert means == pytest.approx([line["running_loss"] for line in run.epochs()], rel=1e-5)


def test_the_loss_of_a_batch_of_a_few_images_is_noise_and_not_kept(store):
    run = trained(store, Phase("head", 2, 1e-2), batch_size=32)  # 100 images: 32, 32, 32 and 4
    assert len(run.scores["phases"][0]["steps"]["first"]) == 2 * 3


@pytest.mark.parametrize("commits", [1, 2])
def test_a_run_that_was_resumed_kept_the_same_steps_and_gradients(store, ending, commits):
    again = begun(store, ALL, HEAD)
    ending(commits)
    with pytest.raises(Ended):
        train(again)
    train(again)
    for one, other in zip(
        again.scores["phases"], trained(store, ALL, HEAD).scores["phases"], strict=True
    ):
        assert one["steps"] == other["steps"]
        assert one.get("gradients") == other.get("gradients")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("trainable", ["all", 1])
def test_gradients_are_those_of_the_first_batch_whatever_the_optimizer(
    optimizer, trainable, monkeypatch
):
    network, _, probe, first = network_of()
    recipe, phase = tiny_recipe(), Phase(trainable, 1, 1e-3, optimizer=optimizer)
    for layer in network.model.body.layers:
        if hasattr(layer, "published_rate"):
            layer.published_rate = 0.0  # dropout draws other numbers outside the traced graph
    monkeypatch.setenv("THAW_FEATURES", "off")
    graphs = network.enter(recipe, phase)
    trained, labels = graphs.training.model, np.arange(32) % 10

    @tf.function
    def by_hand(pixels):
        with tf.GradientTape() as tape:
            said = trained(pixels, training=True)
            losses = keras.losses.sparse_categorical_crossentropy(labels, said)
            loss = keras.ops.mean(losses)
        return loss, tape.gradient(loss, [v.value for v in trained.trainable_variables])

    loss, expected = by_hand(tf.constant(probe.take(np.arange(32))))
    graphs.training.train(probe, labels, np.arange(32), 32, lambda done: None)
    told = phase_diagnosis.first_gradients(network.model, trained, recipe, phase, first)
    whole = np.hypot.reduce([block["gradient"] for block in told])
    assert whole == pytest.approx(np.hypot.reduce([np.linalg.norm(g) for g in expected]), rel=1e-4)
    head = np.hypot.reduce([np.linalg.norm(g) for g in expected[-2:]])
    kernel = first[variables.keys_of(network.model, network.model.get_layer("head").weights)[0]]
    assert told[-1]["title"] == "Head"
    assert told[-1]["gradient"] == pytest.approx(head, rel=1e-4)
    assert told[-1]["relative"] == pytest.approx(head / np.linalg.norm(kernel), rel=1e-4)
    assert len(told) == (
        2 if trainable == 1 else 1 + len(variables.keys_by_block(network.model, recipe))
    )
    assert graphs.training.take_losses() == pytest.approx([float(loss)], rel=1e-4)


def test_phases_that_train_the_head_alone_have_no_gradients(store):
    for changes in ({}, {"augmentation": True}):  # with it every batch comes alone
        everything, head = trained(store, ALL, HEAD, **changes).scores["phases"]
        assert [block["title"] for block in everything["gradients"]][-1] == "Head"
        assert "gradients" not in head


def test_a_first_step_that_overflowed_tells_no_gradient():
    recipe, phase = tiny_recipe(precision="mixed float16"), Phase("all", 1, 1e-3)
    network = Network(recipe, SEEDS)
    trained_model = network.enter(recipe, phase).training.model
    before = variables.copies_of(network.model.variables)
    optimizer = trained_model.optimizer
    known = (network.model, trained_model, recipe, phase, before)
    infinite = [keras.ops.full(v.shape, np.inf) for v in trained_model.trainable_variables]
    optimizer.apply_gradients(zip(infinite, trained_model.trainable_variables, strict=True))
    assert phase_diagnosis.first_gradients(*known) == []


def test_frozen_layers_have_drifted_by_exactly_nothing(store):
    head, everything = told(trained(store, HEAD, ALL))
    assert set(drifts(head["end"])) == {0.0}
    assert head["end"]["distortion"] == head["end"]["corrupted_distortion"] == 0
    assert head["end"]["head_drift"] > 0
    assert min(drifts(everything["end"])) > 0
    for name in ("means_drift", "variances_drift"):  # BatchNorm is as pretrained
        assert set(drifts(everything["end"], name)) == {0.0}
    assert drifts(head["end"], "cka") == pytest.approx([1, 1, 1])
    assert everything["end"]["distortion"] > 0


def test_batchnorm_that_adapts_has_drifted_and_then_stands_still(store):
    everything, head = told(trained(store, ALL, HEAD, **MOVING))
    for name in ("means_drift", "variances_drift"):
        assert min(drifts(everything["end"], name)) > 0
    assert head["end"]["blocks"] == everything["end"]["blocks"]


def test_the_ends_of_a_path_are_the_states_themselves(store, monkeypatch):
    found = []
    of_end = phase_diagnosis.Diagnosis.of_end

    def look(looker, before):
        began, ends = looker._start, variables.copies_of(looker._network.model.variables)
        record = of_end(looker, before)
        with looker._network.activations.restoring():
            ends_of = [looker._states.score_between(began, ends, share) for share in (0.0, 1.0)]
        found.append((record["diagnosis"], ends_of))
        return record

    monkeypatch.setattr(phase_diagnosis.Diagnosis, "of_end", look)
    trained(store, ALL, HEAD, **MOVING)
    for one, measured in found:
        for place, (name, state) in zip(
            (0, -1), (("start", measured[0]), ("end", measured[1])), strict=True
        ):
            for metric in ("loss", "accuracy"):
                assert one["path"][metric][place] == one[name][metric] == state[metric]


def test_what_is_told_is_plain_and_its_time_is_kept_apart(store, monkeypatch):
    class Slow:
        """A clock by which looking takes an hour."""

        hours = itertools.count()

        @classmethod
        def perf_counter(cls):
            return 3600.0 * next(cls.hours)

    monkeypatch.setattr(phase_diagnosis, "time", Slow)
    run = trained(store, ALL, HEAD)
    assert json.loads(json.dumps(told(run), allow_nan=False)) == told(run)
    assert [phase["diagnosis_seconds"] for phase in run.scores["phases"]] == [3600, 3600]
    assert max(line["cold_seconds"] for line in run.epochs()) < 3600


def test_a_run_that_is_too_short_says_why_it_was_not_looked_at(store, monkeypatch):
    monkeypatch.setattr("tl_engine.data.corruptions.PROBE_SHARE", 0.0)
    assert told(trained(store, HEAD)) == [{"skipped": phase_diagnosis.TOO_SHORT}]


def network_of(**changes):
    recipe = tiny_recipe(**changes)
    network = Network(recipe, SEEDS)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (100, 28, 28, 3), dtype=np.uint8)
    probe = Probe(Split(pixels, np.arange(100) % 10, np.arange(100)), "f00d", 32)
    first = network.initial_weights(recipe, SEEDS)
    inside = ActivationReader(network.model, recipe)
    with inside.restoring():
        inside.look_at(probe, first, lambda images: None)
    return network, inside, probe, first


LITE = {"backbone": "efficientnet-lite0", "image_size": 32}


@pytest.mark.parametrize(
    "changes", [{}, {"head_input": "pooled-max"}, {"head_input": "softmax", **LITE}]
)
def test_what_is_read_inside_gives_the_network_s_own_probabilities(changes):
    network, inside, probe, first = network_of(**changes)
    features = inside.activations(first)
    said = inside.probabilities(features, first)
    np.testing.assert_allclose(said, network.inference.predict(probe), atol=2e-5)
    assert features.body.shape == (64, 1000 if "backbone" in changes else 32)
    assert list(features.blocks)[-1] == list(inside.blocks)[-1]


def test_weights_that_were_tried_on_are_taken_off_again_even_when_somebody_stops_it():
    network, inside, _, first = network_of()
    other = {key: array + 1 if array.dtype.kind == "f" else array for key, array in first.items()}

    def stop(images):
        raise RuntimeError

    inside._on_images = stop
    with pytest.raises(RuntimeError), inside.restoring():
        inside.activations(other)
    for key, array in variables.copies_of(network.model.variables).items():
        assert array.tobytes() == first[key].tobytes()


@pytest.mark.long
@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_can_be_read_inside(name):
    side = max(32, BACKBONES[name].minimum_size)
    recipe = Recipe((HEAD,), backbone=name, pretrained=False, image_size=side)
    model = build_model(recipe, SEEDS)
    titles = [block.title for block in BACKBONES[name].blocks]
    _, widths = model_inside(model, recipe)
    assert list(widths) == [*titles, "head input"]
    keys = variables.keys_by_block(model, recipe)
    weights = sum(len(block.weights) for block in keys.values())
    assert list(keys) == titles
    assert weights > len(titles)
    keras.backend.clear_session()
