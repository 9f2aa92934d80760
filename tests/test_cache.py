"""What is computed once: the same bits whether it was found, computed, dropped or never kept."""

import errno
import json
import os
import shutil

import numpy as np
import pytest

from tests.conftest import tiny_recipe, tiny_study
from tl_engine.execution.kill_test import bits
from tl_engine.learning import training
from tl_engine.learning.batches import InferenceGraph, TracedGraph
from tl_engine.learning.device import prepare_device
from tl_engine.learning.phase_training import Ended
from tl_engine.learning.training import train
from tl_engine.recipe import Phase
from tl_engine.runs import Cache, ClaimedRun, RunState, RunStore
from tl_engine.runs.claimed import Stopped
from tl_engine.runs.phase_ends import names_of
from tl_engine.runs.run_outputs import model_file
from tl_engine.storage import atomic
from tl_engine.storage import feature_cache as kept_features
from tl_engine.study import Arm, Study

prepare_device(os.cpu_count() or 1)
ALL, HEAD, TOP = Phase("all", 1, 1e-3), Phase("head", 2, 1e-2), Phase(1, 2, 1e-3)
ORDERS = {"freeze first": (HEAD, TOP, ALL), "fine-tune first": (ALL, TOP, HEAD)}


@pytest.fixture(autouse=True)
def room(monkeypatch):
    monkeypatch.setenv("THAW_CACHE_GB", "1")


THOUSAND_SECONDS = property(lambda graph: 1000.0 if graph._calls else 0.0)


def trained(store, *phases, pair=1, **changes):
    """A run that this process has trained to its end."""
    study = Study("Which order?", (Arm("Arm", tiny_recipe(*phases, **changes)),), pairs=pair)
    run = ClaimedRun(store.create(study).runs()[pair - 1])
    run.begin()
    train(run)
    run.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    return run


def entries(store, kind):
    return sorted((store.root / ".cache").glob(f"{kind}-*"))


def shared(run):
    """By epoch, whose it was first; None for its own."""
    return [line.get("shared") for line in run.epochs()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The bits of both orders where nothing is ever kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("THAW_CACHE_GB", "0")
        store = RunStore(tmp_path_factory.mktemp("undisturbed") / "runs")
        return {order: bits(trained(store, *phases)) for order, phases in ORDERS.items()}


@pytest.mark.parametrize("order", ORDERS)
def test_bits_do_not_depend_on_what_the_cache_holds(store, monkeypatch, undisturbed, order):
    phases = ORDERS[order]
    assert bits(trained(store, *phases)) == undisturbed[order]  # cold
    assert bits(trained(store, *phases)) == undisturbed[order]  # everything is there
    for path in entries(store, "phase-end"):
        shutil.rmtree(path)
    warm = trained(store, *phases)  # features are there
    assert bits(warm) == undisturbed[order]
    assert shared(warm) == [None] * 5
    for path in entries(store, "features")[::2]:  # half of them were dropped
        shutil.rmtree(path)
    for path in entries(store, "phase-end"):
        shutil.rmtree(path)
    assert bits(trained(store, *phases)) == undisturbed[order]
    monkeypatch.setenv("THAW_CACHE_GB", "0.0001")  # nothing lasts
    assert bits(trained(store, *phases)) == undisturbed[order]
    monkeypatch.setenv("THAW_FEATURES", "off")  # through the frozen layers
    monkeypatch.setenv("THAW_CACHE_GB", "0")
    assert bits(trained(store, *phases)) == undisturbed[order]


def test_frozen_layers_see_each_image_once(store, monkeypatch):
    asked = []
    predict = InferenceGraph.predict_batch
    monkeypatch.setattr(
        InferenceGraph,
        "predict_batch",
        lambda graph, inputs: asked.append(graph.model.name) or predict(graph, inputs),
    )
    trained(store, HEAD)
    first = asked.count("below")
    assert first > 0
    trained(store, Phase("head", 5, 1e-3), batch_size=20)  # other epochs, rate and batches
    assert asked.count("below") == first
    trained(store, HEAD, train_images=120)  # 20 images more
    assert asked.count("below") == first + 1


@pytest.mark.long
def test_every_seed_finds_what_a_pretrained_backbone_said(store, monkeypatch):
    asked = []
    predict = InferenceGraph.predict_batch

    def counting(graph, inputs):
        if graph.model.name == "below":
            asked.append(len(inputs))
        return predict(graph, inputs)

    monkeypatch.setattr(InferenceGraph, "predict_batch", counting)
    pretrained = {"backbone": "efficientnet-lite0", "pretrained": True, "image_size": 32}
    trained(store, HEAD, **pretrained)
    assert 100 + 1000 <= sum(asked) < 2000  # training and validation; test stays locked
    asked.clear()
    trained(store, HEAD, pair=2, **pretrained)  # draws other training images
    assert sum(asked) <= 128
    trained(store, HEAD, pair=2)
    asked.clear()
    trained(store, HEAD, pair=3)  # a network of random weights is another one for each seed
    assert 100 + 1000 <= sum(asked) < 2000  # training and validation; test stays locked


def test_a_phase_that_another_run_has_done_is_not_done_again(store):
    first = trained(store, ALL, HEAD)
    again = trained(store, ALL, HEAD, ALL)
    assert shared(again) == [first.id] * 3 + [None]
    assert [line["seconds"] for line in again.epochs()][:3] == [0.0] * 3
    costs = [[line["cold_seconds"] for line in run.epochs()][:3] for run in (first, again)]
    assert costs[0] == costs[1]
    assert all(cost > 0 for cost in costs[0])
    assert [phase.get("shared") for phase in again.scores["phases"]] == [first.id] * 2 + [None]
    third = trained(store, ALL, HEAD, ALL, HEAD)
    # Named is who computed it, not who kept it.
    assert shared(third) == [first.id] * 3 + [again.id] + [None] * 2
    fork = trained(store, ALL, Phase("head", 2, 1e-3))
    assert shared(fork) == [first.id] + [None] * 2


def test_a_run_that_shares_everything_leaves_everything(store):
    one, other = trained(store, HEAD, ALL), trained(store, HEAD, ALL)
    assert shared(other) == [one.id] * 3
    assert bits(one) == bits(other)
    assert model_file(other)
    other.facts()  # raises where a file is damaged


@pytest.mark.parametrize(
    "changes",
    [{"batch_size": 16}, {"train_images": 90}, {"augmentation": True}, {"batchnorm": "adapt"}],
)
def test_nothing_is_shared_between_runs_that_differ(store, changes):
    trained(store, ALL)
    assert shared(trained(store, ALL, **changes)) == [None]


def test_nothing_is_shared_between_seeds_or_machines(store, monkeypatch):
    trained(store, ALL)
    assert shared(trained(store, ALL, pair=2)) == [None]
    device = prepare_device(os.cpu_count() or 1)
    monkeypatch.setattr(training, "prepare_device", lambda threads: {**device, "processor": "Z80"})
    there = trained(store, ALL)
    assert shared(there) == [None]
    assert shared(trained(store, ALL)) == [there.id]  # whatever another machine has kept


def test_only_ends_of_phases_that_serve_on_this_machine_are_counted(store, monkeypatch):
    device = prepare_device(os.cpu_count() or 1)
    monkeypatch.setattr(training, "prepare_device", lambda threads: {**device, "processor": "Z80"})
    trained(store, ALL)
    assert store.cached_phase_ends() == set()
    monkeypatch.setattr(training, "prepare_device", prepare_device)
    trained(store, ALL)
    assert store.cached_phase_ends() == set(names_of(tiny_recipe(ALL), 1, os.cpu_count() or 1))


@pytest.mark.parametrize("kind", ["features", "phase-end"])
def test_one_flipped_byte_is_computed_again(store, undisturbed, kind):
    trained(store, *ORDERS["freeze first"])
    if kind == "features":
        for path in entries(store, "phase-end"):
            shutil.rmtree(path)
    victims = [file for path in entries(store, kind) for file in path.iterdir()]
    for victim in victims:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.unlink()  # a phase's end may have another name in its run
        victim.write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tl_engine.storage.cache._checked", set())  # as another process meets it
        run = trained(store, *ORDERS["freeze first"])
    assert bits(run) == undisturbed["freeze first"]
    assert shared(run) == [None] * 5
    assert not {victim.parent for victim in victims} & set(entries(store, kind))


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(
    store, monkeypatch, undisturbed, code
):
    def watch(step, path, detail=None):
        if ".cache" in path.parts:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(atomic, "watch", watch)
    run = trained(store, *ORDERS["freeze first"])
    assert bits(run) == undisturbed["freeze first"]
    assert not entries(store, "features")


def test_a_process_that_dies_while_it_takes_over_leaves_a_run_that_begins_again(store):
    one = trained(store, ALL, HEAD)
    run = ClaimedRun(store.create(tiny_study(ALL, HEAD, both=False)).runs()[0])
    run.begin()
    steps = []

    def watch(step, path, detail=None):
        steps.append(step)
        if run.path in path.parents and path.name.startswith(".checkpoint.json"):
            raise Ended

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic, "watch", watch)
        with pytest.raises(Ended):
            train(run)
    assert steps
    assert len(run.epochs()) == 3  # taken over, and not committed
    run.facts()  # raises where a file is damaged
    assert run.state is RunState.INTERRUPTED
    run.begin()
    train(run)
    run.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    assert bits(run) == bits(one)


def test_the_unused_go_first(tmp_path):
    cache = Cache(tmp_path, limit=2500)

    def put(key):
        cache.put("thing", key, {}, lambda folder: atomic.write(folder / "x", _thousand))

    for number, key in enumerate("ab"):
        put(key)
        (path,) = tmp_path.glob(f".cache/thing-{key}-*")
        os.utime(path / "entry.json", (number, number))
    assert cache.entries("thing", "a")  # used again
    put("c")
    assert sorted(key for key, _ in cache.facts("thing")) == ["a", "c"]
    assert sum(file.stat().st_size for file in tmp_path.glob(".cache/*/*")) <= 2500


def _thousand(file):
    file.write(bytes(1000))


def test_what_is_not_an_entry_is_dropped(tmp_path):
    cache = Cache(tmp_path, limit=10**6)
    folder = tmp_path / ".cache" / "thing-a-1"
    folder.mkdir(parents=True)
    (folder / "entry.json").write_text(json.dumps({"facts": {}, "files": {}}))
    assert cache.entries("thing", "a") == []
    assert not folder.exists()


def test_a_limit_that_is_no_number_is_refused_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("THAW_CACHE_GB", "much")
    with pytest.raises(Exception, match="THAW_CACHE_GB is a number of gigabytes"):
        Cache(tmp_path)


def test_a_stop_while_frozen_layers_are_read_is_seen_within_a_batch(store):
    run = ClaimedRun(store.create(tiny_study(HEAD, both=False)).runs()[0])
    run.begin()
    (run.path / "stop").touch()
    with pytest.raises(Stopped):
        train(run)
    assert entries(store, "features") == []


def test_a_few_images_more_do_not_raise_what_all_of_them_would_have_taken(tmp_path, monkeypatch):
    class Clock:
        now = 0.0

        @classmethod
        def perf_counter(cls):
            return cls.now

    def features(first, last, tracing=0.0):
        def compute(indices):
            Clock.now += tracing + 1.0 + 0.01 * len(indices)
            yield np.zeros((len(indices), 3), np.float32)

        cache, images = Cache(tmp_path), np.arange(first, last)
        return kept_features.obtain(cache, "name", images, (3,), compute, lambda: tracing)

    monkeypatch.setattr(kept_features, "time", Clock)
    found = features(0, 1000, tracing=5.0)
    assert (found.seconds, found.cold_seconds, found.tracing) == pytest.approx((16, 11, 5))
    for more in (300, 302, 303):  # 2 images took 1.02 seconds, but 1,000 do not take 510
        found = features(more, 1000 + more)
        assert 1 < found.seconds < 5
        assert (found.cold_seconds, found.tracing) == pytest.approx((11, 5))
    assert features(0, 500).cold_seconds == pytest.approx(5.5)


def test_what_was_traced_for_another_run_counts_as_cold(store, monkeypatch):
    monkeypatch.setattr(
        TracedGraph, "warm_up", property(lambda graph: 1000.0 if graph._calls else 0.0)
    )
    costs = [
        [(line["seconds"], line["cold_seconds"]) for line in run.epochs()]
        for run in (trained(store, ALL, ALL, pair=pair, image_size=24) for pair in (1, 2))
    ]
    assert all(spent == cold < 1000 for spent, cold in costs[0])
    (spent, cold), again = costs[1]
    assert cold == pytest.approx(spent + 2000)  # training and reading
    assert again[0] == again[1]  # the second phase is the same graph in either case


def test_what_a_shared_phase_traced_is_not_traced_again_by_a_later_one(store, monkeypatch):
    monkeypatch.setattr(
        TracedGraph, "warm_up", property(lambda graph: 1000.0 if graph._calls else 0.0)
    )
    trained(store, ALL, HEAD, image_size=24)
    again = trained(store, ALL, HEAD, ALL, image_size=24)
    assert [bool(line.get("shared")) for line in again.epochs()] == [True] * 3 + [False]
    assert again.epochs()[-1]["cold_seconds"] == again.epochs()[-1]["seconds"]


def test_a_graph_s_warm_up_is_what_its_first_call_took_longer():
    graph = TracedGraph()
    graph._calls = [3.0, 1.0]
    assert graph.warm_up == 2.0
    graph._calls = [3.0]
    assert graph.warm_up == 0.0


def test_features_that_are_too_large_to_keep_are_computed_in_every_epoch(store, monkeypatch):
    few = trained(store, HEAD)
    shutil.rmtree(store.root / ".cache")
    monkeypatch.setattr("tl_engine.recipe.MAXIMUM_FEATURES", 1000)
    assert bits(trained(store, HEAD)) == bits(few)
    assert entries(store, "features") == []
