"""The store: what is asked stays, states follow facts, nothing is overwritten."""

import json
import os
import shutil

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import tiny_study
from tl_engine.errors import DamagedError, StoreError
from tl_engine.runs import (
    Checkpoint,
    ClaimedRun,
    RunState,
    RunStore,
    StudyFolder,
    epoch_line,
    joined_history,
    run_state,
    summarise,
)
from tl_engine.runs.run_requests import add_pairs, enqueue, request_stop
from tl_engine.storage import memory, record_files
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import lease_of


@pytest.fixture
def folder(store):
    return store.create(tiny_study(pairs=2))


@pytest.fixture
def run(folder):
    """As a process sees it that trains it; the lock is left to the tests."""
    return ClaimedRun(folder.runs()[0])


def line(run, epoch, accuracy=0.5):
    index, phase = fake_run.phase_at(run.recipe, epoch)
    measured = {"seconds": 1.0, "images": 100, "loss": 1.0, "accuracy": 0.5}
    return epoch_line(epoch, index, phase, {**measured, "val_loss": 1.0, "val_accuracy": accuracy})


def commit(run, epoch, step=0):
    arrays = ({"0000": np.full(3, epoch, "float32")}, {"0000": np.zeros(1)})
    run.commit(Checkpoint(epoch, step, *arrays, {}))


def test_a_new_study_is_queued_pair_by_pair(store, folder):
    assert [(run.arm, run.pair) for run in folder.runs()] == [
        ("Fine-tune first", 1),
        ("Freeze first", 1),
        ("Fine-tune first", 2),
        ("Freeze first", 2),
    ]
    assert {run.state for run in folder.runs()} == {RunState.QUEUED}
    assert store.next_waiting().id == folder.runs()[0].id


def test_pairs_are_added_after_the_planned_ones_with_seeds_of_their_own(store, folder):
    planned = folder.study.pairs
    for run in folder.runs():
        request_stop(run)
    added = add_pairs(folder, 2)
    assert [run.pair for run in added] == [planned + 1] * 2 + [planned + 2] * 2
    assert all(run.state is RunState.QUEUED for run in added)
    assert len({run.seeds for run in folder.runs()}) == planned + 2
    assert {run.threads for run in added} == {folder.runs()[0].threads}
    again = store.study(folder.id)
    assert again.runs() != [] and len(again.runs()) == 2 * (planned + 2)
    assert (again.study.pairs, again.added_pairs) == (planned, 2)
    assert store.next_waiting().pair == planned + 1
    assert [run.pair for run in again.runs_as_trained()] == sorted(run.pair for run in again.runs())
    with pytest.raises(StoreError, match="at most 100 pairs"):
        add_pairs(again, 100)
    with pytest.raises(StoreError, match="asked for 0 more"):
        add_pairs(again, 0)


def test_pairs_are_added_after_those_that_another_window_added(store, folder):
    here, there = store.study(folder.id), StudyFolder(folder.path)
    assert here.added_pairs == there.added_pairs == 0  # both have looked
    add_pairs(here, 1)
    added = add_pairs(there, 1)
    assert {run.pair for run in added} == {folder.study.pairs + 2}
    with (
        hold(lease_of(folder.path / "pairs.lock")),
        pytest.raises(StoreError, match="adding pairs"),
    ):
        add_pairs(here, 1)


def test_a_pair_that_was_added_by_half_is_completed(folder):
    shutil.rmtree(add_pairs(folder, 1)[1].path)
    added = add_pairs(folder, 1)
    assert len(added) == 2
    arms = {run.arm_index for run in folder.runs() if run.pair == folder.study.pairs + 1}
    assert arms == {0, 1}


def test_the_same_pair_has_the_same_seeds_in_both_arms(folder):
    first, second, third, _ = folder.runs()
    assert first.seeds == second.seeds != third.seeds


def test_what_was_asked_comes_back(store, folder):
    again = store.study(folder.id)
    assert again.study == tiny_study(pairs=2)
    assert again.runs()[0].recipe == folder.study.arms[0].recipe
    assert set(again.runs()[0].recipe_record["versions"]) == {
        "python",
        "tensorflow",
        "keras",
        "numpy",
    }


def test_a_held_lock_means_running(run):
    with run.hold() as ours:
        assert ours
        run.begin()
        assert run.state is RunState.RUNNING
    assert run.state is RunState.INTERRUPTED


def test_two_processes_never_hold_one_run(run):
    with run.hold(), run.hold() as ours:
        assert not ours


def test_a_queued_run_stops_at_once(run):
    request_stop(run)
    assert run.state is RunState.STOPPED
    assert run.sentence == "Stopped while no process trained it."


def test_a_running_run_is_asked_to_stop(run):
    with run.hold():
        request_stop(run)
        assert run.stop_requested
        assert run.state is RunState.RUNNING


def test_a_stopped_run_can_be_queued_again(run):
    request_stop(run)
    enqueue(run)
    assert run.state is RunState.QUEUED
    assert not run.stop_requested


@pytest.mark.parametrize("state", [RunState.FINISHED, RunState.QUEUED])
def test_what_needs_no_resuming_is_refused(run, state):
    if state is RunState.FINISHED:
        run.begin()
        commit(run, 1)
        run.append_epoch(line(run, 1))
        run.record_results({"splits": {}, "phases": []}, {"test": np.zeros(1)})
        run.end(state, "Every epoch is done.", 1.0)
    with pytest.raises(StoreError, match=f"cannot be resumed: it is {state.value}"):
        enqueue(run)


def test_a_run_that_is_over_cannot_be_stopped(run):
    run.begin()
    run.end(RunState.FAILED, "Out of memory.", 1.0)
    with pytest.raises(StoreError, match="it is failed already"):
        request_stop(run)


def test_a_half_written_line_is_not_read_yet(run):
    run.append_epoch(line(run, 1))
    with open(run.path / "history.jsonl", "a") as file:
        file.write('{"epoch": 2, "val_acc')
    assert [epoch["epoch"] for epoch in run.epochs()] == [1]


def test_the_best_epoch_is_the_first_that_reached_it(run):
    for epoch, accuracy in [(1, 0.6), (2, 0.6)]:
        run.append_epoch(line(run, epoch, accuracy))
        commit(run, epoch)
    best = summarise(run).best
    assert (best.accuracy, best.epoch) == (0.6, 1)


def test_histories_join_into_one_tidy_frame(folder):
    for run in map(ClaimedRun, folder.runs()):
        run.append_epoch(line(run, 1))
    history = joined_history(folder.runs())
    assert list(history["arm"].unique()) == ["Fine-tune first", "Freeze first"]
    assert list(history["seed"]) == [1, 1, 2, 2]


def test_no_history_is_an_empty_frame_with_its_columns(folder):
    history = joined_history(folder.runs())
    assert history.empty
    assert "val_accuracy" in history.columns


def test_a_commit_keeps_the_last_state_and_nothing_older(run):
    for epoch in (1, 2):
        commit(run, epoch)
    checkpoint = run.checkpoint()
    assert checkpoint.epoch == 2
    np.testing.assert_array_equal(checkpoint.model["0000"], [2, 2, 2])
    assert sorted(name for name in os.listdir(run.path) if name.endswith(".npz")) == [
        "model-0002-000000.npz",
        "optimizer-0002-000000.npz",
    ]


def test_a_damaged_checkpoint_is_refused_not_used(run):
    commit(run, 1)
    path = run.path / "model-0001-000000.npz"
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(DamagedError, match=r"model-0001-000000.npz is damaged"):
        run.checkpoint()


def test_lines_that_were_never_committed_are_dropped(run):
    for epoch in (1, 2):
        run.append_epoch(line(run, epoch))
    run.rewind_history(1)
    assert [epoch["epoch"] for epoch in run.epochs()] == [1]


def test_people_rename_and_note_without_touching_what_was_asked(store, folder):
    before = (folder.path / "study.json").read_bytes()
    folder.label(title="  Monday's  ", note="nothing yet")
    again = store.study(folder.id)
    assert (again.title, again.note) == ("Monday's", "nothing yet")
    again.label(note="something")
    assert store.study(folder.id).title == "Monday's"
    assert (folder.path / "study.json").read_bytes() == before


def test_a_title_is_never_empty(folder):
    with pytest.raises(StoreError, match="1 to 200 characters, got 0"):
        folder.label(title="   ")


def test_a_damaged_study_hides_no_other(store, folder):
    broken = store.create(tiny_study())
    for file in broken.path.rglob("*.json"):
        file.write_text('{"study":')
    assert [study.id for study in store.studies()] == [folder.id]
    assert [study.id for study in store.unreadable()] == [broken.id]
    assert broken.path.exists()


def test_a_deleted_study_is_gone(store, folder):
    store.delete(folder.id)
    assert list(store.studies()) == []
    with pytest.raises(StoreError, match="There is no study"):
        store.study(folder.id)


def test_a_running_study_is_not_deleted(store, folder, run):
    with run.hold(), pytest.raises(StoreError, match="stop it first"):
        store.delete(folder.id)
    assert folder.path.exists()


@pytest.mark.parametrize("name", ["../secrets", "..", "/etc", "no-such-study", ""])
def test_an_id_is_never_a_path(store, name):
    with pytest.raises(StoreError, match="There is no study"):
        store.study(name)


@pytest.mark.parametrize("name", ["../arm1-pair01", "..", "arm9-pair01"])
def test_a_run_s_name_is_never_a_path(folder, name):
    with pytest.raises(StoreError, match="has no run"):
        folder.run(name)


def test_a_study_stands_for_its_runs_once(store, folder):
    chosen = store.select([folder.runs()[1].id, folder.id])
    assert len(chosen) == 4
    assert chosen[0].id == folder.runs()[1].id


def test_a_damaged_measurement_is_passed_over(store):
    store.add_measurement({"backbone": "tiny"})
    with open(store.root / "measurements.jsonl", "a") as file:
        file.write("{half\n" + json.dumps(3) + "\n")
    assert store.measurements() == [{"backbone": "tiny"}]


def test_a_store_can_be_moved(tmp_path, store, folder):
    store.root.rename(tmp_path / "elsewhere")
    assert RunStore(tmp_path / "elsewhere").studies()[0].id == folder.id


def test_the_history_of_a_run_that_is_over_is_read_once_until_its_folder_changes(run, monkeypatch):
    run.begin()
    run.append_epoch(line(run, 1))
    commit(run, 1)
    run.end(RunState.STOPPED, "Somebody asked.", 1.0)
    monkeypatch.setattr(memory, "SETTLED_NANOSECONDS", 0)
    assert list(joined_history([run])["epoch"]) == [1]
    two = [line(run, 1), {**line(run, 1), "epoch": 2}]
    monkeypatch.setattr(run_state, "read_epochs", lambda *_: two)
    assert list(joined_history([run])["epoch"]) == [1]
    (run.path / "something").touch()
    assert list(joined_history([run])["epoch"]) == [1, 2]


def test_of_a_growing_history_only_new_lines_are_parsed(run, monkeypatch):
    lines = [{**line(run, 1), "epoch": epoch} for epoch in (1, 2, 3)]
    with run.hold():
        claimed = ClaimedRun(run)
        for one in lines[:2]:
            claimed.append_epoch(one)
        assert run.epochs() == lines[:2]
        parsed, parse = [], record_files._parsed
        monkeypatch.setattr(
            record_files,
            "_parsed",
            lambda path, text: parsed.append(path.name) or parse(path, text),
        )
        claimed.append_epoch(lines[2])
        assert run.epochs() == lines
        assert parsed.count("history.jsonl") == 1
        run.epochs()[0]["epoch"] = 7  # what one reader changes, no other sees
        claimed.rewind_history(1)
        assert run.epochs() == lines[:1]
        path = run.path / "history.jsonl"
        path.write_bytes(path.read_bytes().replace(b"0.5", b"0.6"))
        with pytest.raises(DamagedError):
            run.epochs()


def test_the_history_of_a_run_that_lives_is_read_each_time(run, monkeypatch):
    for epoch in (1, 2):
        run.append_epoch(line(run, epoch))
        commit(run, epoch)
        monkeypatch.setattr(memory, "SETTLED_NANOSECONDS", 0)
        assert len(joined_history([run])) == epoch
