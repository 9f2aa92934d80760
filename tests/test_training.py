"""Training, for real and tiny: what a phase may change, the same bits twice, what a run leaves."""

import os
import subprocess
import sys
from urllib.error import URLError

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import PROJECT, tiny_recipe, tiny_study
from tl_engine.catalog.backbones import BACKBONES
from tl_engine.data.splits import Split
from tl_engine.errors import DataUnavailable, WeightsUnavailable
from tl_engine.learning import phase_training, variables
from tl_engine.learning.batches import TrainingGraph, epoch_order
from tl_engine.learning.device import prepare_device
from tl_engine.learning.freezing import set_phase
from tl_engine.learning.model import build_model
from tl_engine.learning.phase_training import Ended
from tl_engine.learning.training import train
from tl_engine.learning.variables import audit, hashes
from tl_engine.recipe import BATCHNORM_POLICIES, HEAD_INPUTS, Phase, Recipe
from tl_engine.runs import COSTS, ClaimedRun, RunState, Stopped
from tl_engine.runs.run_outputs import (
    log_tail,
    model_arrays,
    model_bytes,
    model_file,
    probabilities,
)
from tl_engine.study import Seeds

# Threads are pinned before the first operation of a process; tests share one.
prepare_device(os.cpu_count() or 1)
SEEDS = Seeds.of_pair(1)
HEAD, ALL = Phase("head", 1, 1e-2), Phase("all", 1, 1e-3)


def pictures(count=8, side=28):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
    return Split(pixels, random.integers(0, 10, count), np.arange(count))


def changed(model, recipe, phase):
    """Variables that one batch of the phase changes, by what they are."""
    set_phase(model, recipe, phase)
    before = {v.path: np.array(v) for v in variables.parameters(model)}
    part = pictures(2)
    model.train_step((part.images, part.labels))  # eagerly: no graph is traced to be used once
    moved = {v.path for v in variables.parameters(model) if (np.array(v) != before[v.path]).any()}
    statistics = {
        v.path
        for layer in model.body.layers
        for v in layer.non_trainable_variables
        if isinstance(layer, keras.layers.BatchNormalization) and "moving" in v.path
    }
    scales = {
        v.path
        for layer in model.body.layers
        if isinstance(layer, keras.layers.BatchNormalization)
        for v in layer.variables
    } - statistics
    head = {v.path for v in model.get_layer("head").variables}
    return {
        "head": moved & head == head,
        "statistics": bool(moved & statistics),
        "scales": bool(moved & scales),
        "backbone": bool(moved - head - statistics - scales),
    }


def head_of(place, backbone):
    """A head for each family, so that all heads are tried though not each with each family."""
    heads = list(HEAD_INPUTS)[: None if backbone.top else 2]
    return heads[place % len(heads)]


CASES = [(name, head_of(place, one)) for place, (name, one) in enumerate(BACKBONES.items())]


@pytest.mark.long
@pytest.mark.parametrize(("name", "head_input"), CASES)
def test_a_phase_changes_what_it_may_and_nothing_else(name, head_input):
    # Small steps: a random network must not be thrown where its loss is flat.
    head, everything = Phase("head", 1, 1e-3), Phase("all", 1, 1e-5)
    fixed, adapting = (
        Recipe(
            (head, everything),
            backbone=name,
            pretrained=False,
            head_input=head_input,
            batchnorm=policy,
            image_size=max(32, BACKBONES[name].minimum_size),
            batch_size=2,
        )
        for policy in BATCHNORM_POLICIES
    )
    model = build_model(fixed, SEEDS)
    frozen = {"head": True, "statistics": False, "scales": False, "backbone": False}
    free = {**frozen, "backbone": True}
    if name in ("tiny", "efficientnet-lite0"):
        assert changed(model, fixed, head) == frozen
    assert changed(model, fixed, everything) == free
    if any(block.batchnorm_weights for block in BACKBONES[name].blocks):
        adapts = {"head": True, "statistics": True, "scales": True, "backbone": True}
        assert changed(model, adapting, everything) == adapts
    assert changed(model, adapting, head) == frozen  # after it was free, too
    keras.backend.clear_session()


def test_every_head_is_tried():
    assert {head for _, head in CASES} == set(HEAD_INPUTS)


def test_the_catalog_counts_what_each_phase_trains():
    for batchnorm in BATCHNORM_POLICIES:
        phases = (HEAD, Phase(1, 1, 1e-3), ALL)
        recipe = tiny_recipe(*phases, batchnorm=batchnorm)
        model = build_model(recipe, SEEDS)
        for phase, counted in zip(phases, recipe.trainable_parameters(), strict=True):
            set_phase(model, recipe, phase)
            assert counted == sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_a_frozen_backbone_is_a_constant_function():
    recipe = tiny_recipe(HEAD)
    model = build_model(recipe, SEEDS)
    set_phase(model, recipe, HEAD)
    pixels = np.random.default_rng(0).random((4, 16, 16, 3), dtype=np.float32)
    np.testing.assert_array_equal(model.body(pixels, training=True), model.body(pixels))


def test_an_audit_tells_a_frozen_variable_that_changed():
    recipe = tiny_recipe(HEAD)
    model = build_model(recipe, SEEDS)
    set_phase(model, recipe, HEAD)
    before = hashes(model)
    victim = model.body.variables[0]
    victim.assign(np.array(victim) + 1)
    assert audit(model, before)["frozen_changed"] == int(np.prod(victim.shape))


def test_the_same_seed_gives_the_same_head_in_both_orders():
    one, other = (build_model(r, SEEDS) for r in (tiny_recipe(ALL, HEAD), tiny_recipe(HEAD, ALL)))
    for a, b in zip(one.variables, other.variables, strict=True):
        np.testing.assert_array_equal(np.array(a), np.array(b))


def test_an_epoch_s_order_is_a_permutation_that_its_seed_decides():
    assert sorted(epoch_order(100, 1)) == list(range(100))
    assert list(epoch_order(100, 1)) == list(epoch_order(100, 1)) != list(epoch_order(100, 2))


@pytest.mark.parametrize("at_once", [1, 2, 16])
def test_every_image_of_an_epoch_is_seen_once_in_batches_of_the_same_size(at_once):
    seen, done = [], []

    class Counting(keras.Model):
        """Notes the batches that it is trained on."""

        def train_step(self, batch):
            tf.py_function(lambda labels: seen.append(labels.numpy()), [batch[1]], [])

    inputs = keras.Input((28, 28, 3), dtype="uint8")
    model = Counting(inputs, keras.layers.Flatten()(inputs))
    model.compile(loss="mse")
    part = pictures(10)
    order = epoch_order(10, 1)
    graph = TrainingGraph(model)
    graph.train(part, part.labels, order, 4, done.append, batches_per_call=at_once)
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert (np.concatenate(seen) == part.labels[order]).all()
    assert done == {1: [1, 2, 3], 2: [2, 3], 16: [3]}[at_once]


def test_arrays_of_another_network_are_refused():
    model = build_model(tiny_recipe(), SEEDS)
    arrays = variables.arrays_of(model.variables)
    with pytest.raises(ValueError, match="variables, got 1 arrays"):
        variables.assign(model.variables, {"0000": arrays["0000"]})
    arrays["0000"] = arrays["0000"][..., :1]
    with pytest.raises(ValueError, match="Variable 0000"):
        variables.assign(model.variables, arrays)


def test_a_finished_run_leaves_everything(finished):
    for run in finished.runs():
        assert run.state is RunState.FINISHED, log_tail(run)
        data = run.recipe.described_dataset
        assert [e["epoch"] for e in run.epochs()] == [1, 2]
        kept = probabilities(run)
        assert kept["validation"].dtype == np.float16
        assert kept["validation"].shape == (data.validation, data.classes)
        split = run.scores["splits"]["validation"]
        right = (kept["validation"].argmax(1) == kept["validation_labels"]).sum()
        assert split["correct"] == right == np.trace(split["confusion"])
        assert split["total"] == len(kept["validation"]) == np.sum(split["confusion"])
        assert run.epochs()[-1]["val_accuracy"] == split_accuracy(run)
        for phase in run.scores["phases"]:
            assert phase["audit"]["frozen_changed"] == 0
            assert phase["audit"]["free_changed"] == phase["audit"]["free"] > 0
        assert [met["fingerprint"] for met in run.environments]
        assert run.is_bit_comparable
        assert model_file(run).read_bytes() == model_bytes(run, "keras")


def split_accuracy(run):
    split = run.scores["splits"]["validation"]
    return split["correct"] / split["total"]


def test_the_saved_model_is_plain_keras_and_predicts_the_same(finished):
    run = finished.runs()[0]
    code = (
        "import sys, keras, numpy as np\n"
        "model = keras.saving.load_model(sys.argv[1])\n"
        "pixels = np.load(sys.argv[2])['train'][:4]\n"
        "pixels = np.repeat(pixels[..., None], 3, -1)\n"
        "print(model.predict(pixels, verbose=0).shape, 'tl_engine' in sys.modules)"
    )
    shipped = next((PROJECT / "tl_engine" / "data").glob("*.npz"))
    names = np.load(shipped).files
    code = code.replace("'train'", repr(next(n for n in names if "train" in n and "im" in n)))
    done = subprocess.run(
        [sys.executable, "-c", code, str(model_file(run)), str(shipped)],
        capture_output=True,
        text=True,
        cwd=run.path,
    )
    assert done.stdout.split("\n")[0] == "(4, 10) False", done.stderr


@pytest.mark.long
def test_two_fresh_processes_give_the_same_bytes(store):
    """With dropout, augmentation and moving statistics."""
    from tests.helpers import drain_in_a_process

    settings = {"augmentation": True, "batchnorm": "adapt"}
    folders = [store.create(tiny_study(both=False, **settings)) for _ in range(2)]
    drain_in_a_process(store)
    one, other = (folder.runs()[0] for folder in folders)
    assert one.state is other.state is RunState.FINISHED, log_tail(one)
    for name, array in model_arrays(one).items():
        assert array.tobytes() == model_arrays(other)[name].tobytes()
    losses = [[(e["loss"], e["val_loss"]) for e in run.epochs()] for run in (one, other)]
    assert losses[0] == losses[1]


@pytest.fixture
def queued(store):
    return begun(store, Phase("all", 2, 1e-3), Phase("head", 1, 1e-2))


def begun(store, *phases, **changes):
    """A run in the hands of this process."""
    run = ClaimedRun(store.create(tiny_study(*phases, both=False, **changes)).runs()[0])
    run.begin()
    return run


def assert_same_bits(one, other):
    """Every variable, every metric and every probability."""
    for name, array in model_arrays(one).items():
        assert array.tobytes() == model_arrays(other)[name].tobytes()
    for a, b in zip(one.epochs(), other.epochs(), strict=True):
        assert {k: v for k, v in a.items() if k not in COSTS} == {
            k: v for k, v in b.items() if k not in COSTS
        }
    for name, array in probabilities(one).items():
        assert array.tobytes() == probabilities(other)[name].tobytes()
    audits = [[phase["audit"] for phase in run.scores["phases"]] for run in (one, other)]
    assert audits[0] == audits[1]


@pytest.mark.parametrize("ends", ["between epochs", "inside an epoch", "before the last files"])
def test_a_run_that_ended_goes_on_to_the_same_bits(store, monkeypatch, ends):
    """With dropout, augmentation and moving statistics."""
    settings = {"augmentation": True, "batchnorm": "adapt"}
    phases = (Phase("all", 2, 1e-3), Phase("head", 1, 1e-2))
    whole, again = begun(store, *phases, **settings), begun(store, *phases, **settings)
    train(whole)
    commit, record = ClaimedRun.commit, ClaimedRun.record_results

    def commit_and_end(run, state):
        commit(run, state)
        if ends == "between epochs" or state.step == 3:
            raise Ended

    def end(run, *_):
        raise Ended

    monkeypatch.setattr(ClaimedRun, "commit", commit_and_end)
    if ends == "inside an epoch":
        monkeypatch.setattr(phase_training, "COMMIT_SECONDS", 0.0)
    if ends == "before the last files":
        monkeypatch.setattr(ClaimedRun, "commit", commit)
        monkeypatch.setattr(ClaimedRun, "record_results", end)
    for _ in range(5):
        try:
            train(again)
        except Ended:
            monkeypatch.setattr(ClaimedRun, "record_results", record)
        else:
            break
    assert_same_bits(whole, again)


def test_rates_fall_and_phases_end_early_as_the_recipe_says(store):
    run = begun(
        store,
        Phase("all", 3, 1e-3, schedule="cosine"),
        Phase("head", 9, 10.0, "sgd", patience=1),
    )
    train(run)
    rates = [line["learning_rate"] for line in run.epochs() if line["phase"] == 0]
    np.testing.assert_allclose(rates, [1e-3, 7.5e-4, 2.5e-4], rtol=1e-6)
    head = [line["val_loss"] for line in run.epochs() if line["phase"] == 1]
    assert len(head) < 9
    assert head[-1] >= min(head[:-1])
    assert [phase["epochs"] for phase in run.scores["phases"]] == [3, len(head)]


def test_a_process_that_has_to_end_commits_what_it_has(store, queued):
    queued.end_soon()
    with pytest.raises(Ended):
        train(queued)
    state = queued.checkpoint()
    assert (state.epoch, state.step) == (0, 1)
    assert queued.epochs() == []


def test_a_stop_is_seen_within_one_batch(queued):
    (queued.path / "stop").touch()
    with pytest.raises(Stopped):
        train(queued)
    assert queued.epochs() == []


def test_a_loss_that_explodes_is_said_with_its_learning_rate(store):
    run = begun(store, Phase("all", 3, 10.0, "sgd"))
    try:
        train(run)
    except FloatingPointError as error:
        assert "try a smaller learning rate than 10" in str(error)
    else:
        assert all(np.isfinite(e["loss"]) for e in run.epochs())


def test_a_loss_that_is_no_number_in_validation_only_is_said_too(store, monkeypatch):
    run = begun(store, ALL)
    monkeypatch.setattr(
        phase_training.PhaseTraining,
        "probabilities",
        lambda phase, part: np.full((len(part.labels), 10), np.nan, np.float32),
    )
    with pytest.raises(FloatingPointError, match="The loss became nan in epoch 1"):
        train(run)
    assert run.epochs() == []


def test_a_run_goes_on_with_its_own_images_only(store, monkeypatch):
    run = begun(store, Phase("head", 2, 1e-2))
    commit = ClaimedRun.commit

    def commit_and_end(run, state):
        commit(run, state)
        raise Ended

    monkeypatch.setattr(ClaimedRun, "commit", commit_and_end)
    with pytest.raises(Ended):
        train(run)
    monkeypatch.undo()
    met = {**run.environments[0], "fingerprint": "of other images"}
    run.records.write("environment.json", {"met": [met]})
    with pytest.raises(DataUnavailable, match="not those that this run began with"):
        train(run)
    assert len(run.epochs()) == 1


def test_a_run_that_went_on_elsewhere_says_so(store, queued, monkeypatch):
    train(queued)
    assert queued.is_bit_comparable
    queued.record_environment({**queued.environments[0], "threads": 64})
    assert not queued.is_bit_comparable


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"dataset": "cifar10", "train_images": 100}, DataUnavailable, "CIFAR-10"),
        (
            {"backbone": "resnet50", "pretrained": True, "image_size": 32},
            WeightsUnavailable,
            "ResNet-50",
        ),
    ],
)
def test_what_is_not_here_is_named_with_its_place(
    store, monkeypatch, tmp_path, changes, error, words
):
    def no_network(*_):
        raise URLError("no network")

    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    run = begun(store, **changes)
    with pytest.raises(error, match=words) as refused:
        train(run)
    assert len(str(refused.value).split("\n")) == 1


def test_progress_says_where_a_run_is(finished):
    assert finished.runs()[0].heartbeat.progress["stage"] == "Saving the model"
