"""Evaluations: finished runs are asked once, by one process, that may die at any moment."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import PROJECT, tiny_recipe
from tests.helpers import command, wait_until
from tl_engine.analysis.work import rate_key
from tl_engine.cli import main
from tl_engine.data.corruptions import sample_of
from tl_engine.data.sources import load as load_images
from tl_engine.data.splits import split
from tl_engine.errors import DamagedError, StoreError
from tl_engine.execution import evaluation
from tl_engine.execution.evaluation import EVALUATIONS, Row, evaluate, evaluation_seconds, start
from tl_engine.learning import evaluator
from tl_engine.learning.device import prepare_device
from tl_engine.learning.training import train
from tl_engine.recipe import Phase
from tl_engine.runs import ClaimedRun, Evaluation, RunState, RunStore, StudyEvaluation
from tl_engine.runs.evaluations import DIED, result_arrays, result_of, write_result
from tl_engine.runs.evidence import of_store
from tl_engine.runs.run_outputs import probabilities
from tl_engine.runs.test_access import count
from tl_engine.storage import atomic
from tl_engine.storage.lease import hold, is_held
from tl_engine.study import Study, name_arms

prepare_device(os.cpu_count() or 1)

TEST, ROBUSTNESS = Evaluation.TEST, Evaluation.ROBUSTNESS
SCORES = {"correct": 1, "total": 2, "accuracy": 0.5, "loss": 0.7, "confusion": [[1, 0], [1, 0]]}
ARRAYS = {
    "probabilities": np.array([[0.9, 0.1], [0.6, 0.4]], np.float16),
    "labels": np.array([0, 1]),
    "indices": np.array([0, 1]),
}


class Death(BaseException):
    """The process is gone."""


@pytest.fixture
def copy(finished, tmp_path):
    """A store with the finished study, to be written into."""
    shutil.copytree(finished.path, tmp_path / "runs" / finished.id)
    return RunStore(tmp_path / "runs")


@pytest.fixture
def study(store):
    """A study of three runs that finished without a network, and one that waits."""
    made = store.create(fake_run.study(pairs=4))
    for run in made.runs()[:3]:
        fake_run.train(ClaimedRun(run))
    return made


def ask(asking, runs):
    """Instead of a network."""
    for run in runs:
        write_result(run, asking.kind, SCORES, ARRAYS)
    return []


def test_the_test_split_is_locked_until_it_is_opened_and_each_opening_is_counted(copy):
    (study,) = copy.studies()
    assert of_store(study.path.parent).test_accesses(study) == []
    assert [result_of(run, Evaluation.TEST) for run in study.runs()] == [None, None]
    done = command("open-test", study.id, "--yes", "--json", "--runs-dir", str(copy.root))
    assert done.returncode == 0, done.stderr
    assert "Measuring finished runs 2 of 2" in done.stderr
    for run in study.runs():
        scores, kept = result_of(run, Evaluation.TEST), result_arrays(run, Evaluation.TEST)
        assert json.loads(done.stdout)[run.id] == scores
        assert kept["probabilities"].dtype == np.float16
        right = int((kept["probabilities"].argmax(axis=1) == kept["labels"]).sum())
        assert scores["correct"] == right == np.trace(scores["confusion"])
        assert scores["total"] == len(kept["labels"]) == np.sum(scores["confusion"]) == 2000
        assert np.array_equal(kept["indices"], np.arange(2000))
        assert run.state is RunState.FINISHED
    (access,) = of_store(study.path.parent).test_accesses(study)
    assert (access.number, access.runs) == (1, tuple(run.path.name for run in study.runs()))
    before = {path: path.read_bytes() for path in study.path.rglob("test.*")}
    assert main(["open-test", study.id, "--yes", "--runs-dir", str(copy.root)]) == 0
    assert {path: path.read_bytes() for path in study.path.rglob("test.*")} == before
    assert count(of_store(study.path.parent).test_accesses(study)) == 1


def test_the_page_that_asked_already_starts_a_process_that_need_not_ask(study, store, launches):
    for kind in (TEST, ROBUSTNESS):
        start(store, study, kind)
        assert not StudyEvaluation(study, kind).is_alive  # what was started has its lease
    start(store, study, TEST, study.runs()[:1])
    start(store, study, ROBUSTNESS, study.runs()[:2])
    assert launches.started == [
        ("open-test", study.id, "--yes"),
        ("robustness", study.id),
        ("open-test", study.id, "--yes"),
        ("robustness", *(run.id for run in study.runs()[:2])),
    ]


def test_corrupted_images_are_asked_of_one_run_or_all_and_the_clean_ones_are_known(copy):
    (study,) = copy.studies()
    first, second = study.runs()
    done = command("robustness", first.id, "--runs-dir", str(copy.root))
    assert done.returncode == 0, done.stderr
    assert "mean of all corruptions" in done.stdout
    assert result_of(second, ROBUSTNESS) is None
    said = result_of(first, ROBUSTNESS)
    assert said["total"] == 500
    assert {len(counts) for counts in said["corrupted"].values()} == {5}
    splits = split(load_images("fashion-mini"), first.recipe.train_images, first.seeds.data)
    sample = sample_of(splits.validation)
    predicted = probabilities(first)["validation"][sample.indices].argmax(axis=1)
    assert said["clean"] == (predicted == sample.labels).sum()
    assert result_of(first, Evaluation.TEST) is None
    assert of_store(study.path.parent).test_accesses(study) == []


@pytest.mark.long
def test_a_killed_opening_goes_on_and_counts_once(copy):
    (study,) = copy.studies()
    words = [
        sys.executable,
        "-m",
        "tl_engine",
        "open-test",
        study.id,
        "--yes",
        "--runs-dir",
        copy.root,
    ]
    process = subprocess.Popen([*map(str, words)], cwd=PROJECT, stderr=subprocess.DEVNULL)
    wait_until(lambda: of_store(study.path.parent).test_accesses(study))
    process.send_signal(signal.SIGKILL)
    process.wait()
    asking = StudyEvaluation(study, TEST)
    assert not asking.is_alive
    assert asking.progress == {"ended": DIED}
    done = command("open-test", study.id, "--yes", "--runs-dir", str(copy.root))
    assert done.returncode == 0, done.stderr
    assert all(result_of(run, Evaluation.TEST) for run in study.runs())
    assert count(of_store(study.path.parent).test_accesses(study)) == 1


def test_a_network_that_fits_is_used_again_and_says_the_same(copy):
    from tl_engine.learning.network import load_network

    first, second = copy.studies()[0].runs()
    pixels = np.array(load_images("fashion-mini").train.images[:8])
    alone = load_network(second).inference.predict_batch(pixels)
    network = load_network(first)
    assert not np.array_equal(network.inference.predict_batch(pixels), alone)
    assert load_network(second) is network
    assert np.array_equal(network.inference.predict_batch(pixels), alone)


@pytest.mark.parametrize(("phase", "passes"), [("head", 1), ("all", 2)])
def test_runs_that_left_the_backbone_alone_ask_it_once_and_say_the_same(
    store, monkeypatch, phase, passes
):
    from tl_engine.learning.batches import InferenceGraph

    monkeypatch.setenv("THAW_CACHE_GB", "1")
    recipes = [tiny_recipe(Phase(phase, 1, rate)) for rate in (1e-2, 1e-3)]
    study = store.create(Study("Rates", name_arms(recipes)))
    for run in study.runs():
        claimed = ClaimedRun(run)
        claimed.begin()
        train(claimed)
        claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    asked, predict = [], InferenceGraph.predict_batch

    def counting(graph, inputs):
        asked.append(len(inputs) if inputs.ndim == 4 else 0)
        return predict(graph, inputs)

    monkeypatch.setattr(InferenceGraph, "predict_batch", counting)
    assert not evaluate(store, study, TEST, study.runs())
    images = len(load_images("fashion-mini").test.images)
    assert passes * images <= sum(asked) < passes * images + 32
    answers = [result_arrays(run, Evaluation.TEST)["probabilities"] for run in study.runs()]
    monkeypatch.setattr(InferenceGraph, "predict_batch", predict)
    monkeypatch.setenv("THAW_FEATURES", "off")
    for run in study.runs():
        (run.path / "test.json").unlink()
    assert not evaluate(store, study, TEST, study.runs())
    for run, said in zip(study.runs(), answers, strict=True):
        np.testing.assert_array_equal(result_arrays(run, Evaluation.TEST)["probabilities"], said)


def test_only_finished_runs_are_asked_and_later_ones_need_another_opening(
    store, study, monkeypatch
):
    monkeypatch.setattr(evaluation, "_evaluate_runs", _noted(ask))
    assert evaluate(store, study, TEST, study.runs()) == ""
    assert [result_of(run, Evaluation.TEST) is not None for run in study.runs()] == [True] * 3 + [
        False
    ]
    assert [access.number for access in of_store(study.path.parent).test_accesses(study)] == [1]
    fake_run.train(ClaimedRun(study.runs()[3]))
    assert evaluate(store, study, TEST, study.runs()) == ""
    assert [access.number for access in of_store(study.path.parent).test_accesses(study)] == [1, 2]
    assert of_store(study.path.parent).test_accesses(study)[1].runs == (study.runs()[3].path.name,)


def _noted(asks):
    """Asks as the real one does: the access is noted first."""

    def each(asking, runs):
        evaluation.note(asking.study, runs)
        return asks(asking, runs)

    return each


def test_a_full_disk_ends_it_with_a_sentence_and_leaves_whole_answers(store, study, monkeypatch):
    monkeypatch.setattr(evaluation, "_evaluate_runs", _noted(ask))
    second = study.runs()[1]

    def full(name, path, detail):
        if name == "rename" and detail == second.path / "test.npz":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "watch", full)
    ended = evaluate(store, study, TEST, study.runs())
    assert ended.startswith("The disk refuses to be written: No space left on device.")
    assert StudyEvaluation(study, TEST).progress == {"ended": ended}
    assert [result_of(run, Evaluation.TEST) is not None for run in study.runs()] == [True] + [
        False
    ] * 3
    monkeypatch.setattr(atomic, "watch", None)
    assert evaluate(store, study, TEST, study.runs()) == ""
    assert count(of_store(study.path.parent).test_accesses(study)) == 1


def test_where_the_opening_cannot_be_written_down_nobody_looks(store, study, monkeypatch):
    asked = []
    monkeypatch.setattr(
        evaluation, "_evaluate_runs", _noted(lambda asking, runs: asked.append(runs))
    )

    def full(name, path, detail):
        if name == "rename" and detail == study.path / "openings.jsonl":
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic, "watch", full)
    assert "The disk refuses" in evaluate(store, study, TEST, study.runs())
    assert asked == []
    assert of_store(study.path.parent).test_accesses(study) == []


def test_whoever_dies_while_an_answer_is_kept_leaves_all_of_it_or_none(study, monkeypatch):
    run, steps = study.runs()[0], []
    monkeypatch.setattr(atomic, "watch", lambda *step: steps.append(step))
    write_result(run, TEST, SCORES, ARRAYS)
    for life in range(len(steps)):
        for path in run.path.glob("test.*"):
            path.unlink()
        left = iter(range(life))

        def dies(*_, left=left):
            if next(left, None) is None:
                raise Death

        monkeypatch.setattr(atomic, "watch", dies)
        with pytest.raises(Death):
            write_result(run, TEST, SCORES, ARRAYS)
        monkeypatch.setattr(atomic, "watch", None)
        if scores := result_of(run, Evaluation.TEST):
            assert scores["correct"] == SCORES["correct"]
            fake_run.same(result_arrays(run, Evaluation.TEST), ARRAYS)
        else:
            assert result_arrays(run, Evaluation.TEST) == {}
        assert run.state is RunState.FINISHED


def test_a_damaged_answer_is_never_shown_and_is_asked_again(store, study, monkeypatch):
    monkeypatch.setattr(evaluation, "_evaluate_runs", ask)
    run = study.runs()[0]
    evaluate(store, study, TEST, [run])
    path = run.path / "test.npz"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(DamagedError, match=r"test\.npz is damaged"):
        result_arrays(run, Evaluation.TEST)
    path = run.path / "test.json"
    path.write_text(path.read_text().replace('"correct": 1', '"correct": 2'))
    with pytest.raises(DamagedError, match=r"test\.json is damaged"):
        result_of(run, Evaluation.TEST)
    assert run.state is RunState.FINISHED
    evaluate(store, study, TEST, [run])
    assert result_of(run, Evaluation.TEST)["correct"] == 1
    fake_run.same(result_arrays(run, Evaluation.TEST), ARRAYS)


def test_one_process_asks_at_a_time_and_can_be_told_to_stop(store, study, monkeypatch):
    monkeypatch.setattr(evaluation, "_evaluate_runs", ask)
    asking = StudyEvaluation(study, ROBUSTNESS)
    with asking.hold() as ours:
        assert ours
        assert asking.is_alive
        with pytest.raises(StoreError, match="are being measured already"):
            evaluate(store, study, ROBUSTNESS, study.runs())
        with pytest.raises(StoreError, match="is being measured: stop that first"):
            store.delete(study.id)
        asking.request_stop()
        assert asking.stop_requested
    holding = asking.take()
    assert not asking.stop_requested  # a wish of before is not for the next process
    asking.request_stop()
    assert (
        evaluate(store, study, ROBUSTNESS, study.runs(), handover=holding.handover)
        == "Stopped by request."
    )
    assert not asking.is_alive
    assert [result_of(run, ROBUSTNESS) for run in study.runs()] == [None] * 4
    store.delete(study.id)


def test_it_waits_until_nothing_trains(store, study, monkeypatch):
    told, asked = [], []
    monkeypatch.setattr(evaluation, "_evaluate_runs", lambda asking, runs: asked.append(runs) or [])
    with ThreadPoolExecutor() as pool:
        with hold(store.training_lease):
            waiting = pool.submit(
                evaluate, store, study, ROBUSTNESS, study.runs(), observer=told.append
            )
            wait_until(lambda: told)
            time.sleep(3 * evaluation.POLL_SECONDS)
            assert told == [{"stage": evaluation.WAITS}]
            assert not asked
        assert waiting.result(timeout=30) == ""
    assert len(asked) == 1
    assert not is_held(store.training_lease)


def test_who_waits_can_be_stopped(store, study, monkeypatch):
    monkeypatch.setattr(evaluation, "_evaluate_runs", lambda asking, runs: pytest.fail("it asked"))
    with ThreadPoolExecutor() as pool, hold(store.training_lease):
        told = []
        waiting = pool.submit(
            evaluate, store, study, ROBUSTNESS, study.runs(), observer=told.append
        )
        wait_until(lambda: told)
        StudyEvaluation(study, ROBUSTNESS).request_stop()
        assert waiting.result(timeout=30) == evaluation.STOPPED


def test_the_time_it_takes_comes_from_what_was_measured_here(study):
    recipe = study.runs()[0].recipe
    assert EVALUATIONS[TEST].work(recipe) == 2000
    assert EVALUATIONS[ROBUSTNESS].work(recipe) == 31 * 500
    assert evaluation_seconds([recipe], TEST, []) is None
    known = {**rate_key(recipe, recipe.phases[0]), "forward_seconds_per_image": 0.01}
    assert evaluation_seconds([recipe] * 2, TEST, [known]) == pytest.approx(40)


class Further(StrEnum):
    """An evaluation that is added."""

    BRIGHT = "bright"


def test_an_evaluation_that_is_added_has_a_command_a_time_and_results(
    store, study, launches, monkeypatch, capsys
):
    def on_bright_images(run, splits, predict):
        return {"total": 1}, {}

    def evaluate_runs(asking, runs, work, measure):
        for run in runs:
            write_result(run, asking.kind, *measure(run, None, None))
        return []

    row = Row("bright", "finished runs on bright images", lambda recipe: 7, "on_bright_images")
    monkeypatch.setitem(EVALUATIONS, Further.BRIGHT, row)
    monkeypatch.setattr(evaluator, "on_bright_images", on_bright_images, raising=False)
    monkeypatch.setattr(evaluator, "evaluate", evaluate_runs)
    start(store, study, Further.BRIGHT)
    assert launches.started == [("bright", study.id)]
    recipe = study.runs()[0].recipe
    rate = {**rate_key(recipe, recipe.phases[0]), "forward_seconds_per_image": 1}
    assert evaluation_seconds([recipe], Further.BRIGHT, [rate]) == 7
    assert main(["bright", study.id, "--json", "--runs-dir", str(store.root)]) == 0
    results = json.loads(capsys.readouterr().out)
    assert [result and result["total"] for result in results.values()] == [1, 1, 1, None]


@pytest.mark.parametrize("kind", Evaluation)
def test_each_evaluation_has_a_row_and_a_function(kind):
    assert callable(getattr(evaluator, EVALUATIONS[kind].function))
