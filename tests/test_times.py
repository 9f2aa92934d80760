"""What a run took: each time defined once, the same everywhere."""

import json
import time

import pytest

from tests import fake_run
from tl_engine.runs import ClaimedRun, RunState, summarise
from tl_engine.runs.run_requests import enqueue
from tl_engine.runs.summary import Times, spent_before, times_of, total_of


@pytest.fixture
def run(store):
    return store.create(fake_run.study()).runs()[0]


def attempt(run, lasts, last=fake_run.EPOCHS):
    """A process that trains up to an epoch, gives a sign of life and is gone."""
    with run.hold():
        claimed = ClaimedRun(run)
        time.sleep(lasts)
        fake_run.train(claimed, last)
        claimed.report({"stage": "Training"})


def test_training_time_is_the_sum_of_the_epochs_and_cold_time_as_if_nothing_was_shared():
    own = {"seconds": 2.0, "cold_seconds": 5.0}
    shared = {"seconds": 0.0, "cold_seconds": 4.0, "shared": "other/arm1-pair01"}
    earlier = {"seconds": 1.0}  # of a version that computed everything itself
    assert times_of([shared, own, earlier], 9.0) == Times(3.0, 10.0, 9.0)
    assert times_of([], None) == Times(None, None, None)


def test_a_resumed_run_sums_its_attempts_up_to_their_last_sign_of_life(run):
    attempt(run, 0.3, last=2)
    assert run.state is RunState.INTERRUPTED
    first = summarise(run).times
    assert first.training == 2.0
    assert 0.3 <= first.total < 0.9
    time.sleep(1.0)  # nobody trains it meanwhile: waiting does not count
    attempt(run, 0.3)
    both = summarise(run).times
    assert both.training == both.cold == 4.0
    assert 0.3 <= both.total - first.total < 0.9
    assert run.outcome["total_seconds"] == both.total


def test_a_run_that_was_stopped_and_resumed_keeps_what_it_took_before(run):
    with run.hold():
        claimed = ClaimedRun(run)
        time.sleep(0.2)
        claimed.begin()
        claimed.end(RunState.STOPPED, "Stopped by request.", 0.2)
    before = summarise(run).times.total
    enqueue(run)
    attempt(run, 0.2)
    assert summarise(run).times.total >= before + 0.2


def test_an_attempt_that_died_before_any_sign_of_life_is_counted_neither_twice_nor_for_others(run):
    attempt(run, 0.2, last=1)
    known = summarise(run).times.total
    with run.hold():
        ClaimedRun(run).begin()
    assert summarise(run).times.total == known


def test_a_damaged_sign_of_life_leaves_what_the_attempts_wrote_down(run):
    attempt(run, 0.2, last=1)
    attempt(run, 0.0, last=2)
    (run.path / "pulse").write_bytes(b"x" * 1024)
    assert spent_before({}, None, run.attempts()) >= 0.2


def test_of_earlier_versions_one_attempt_is_what_its_outcome_says_and_several_are_unknown():
    old = {"at": "2026-01-01T00:00:00+00:00", "asked": True, "epoch": 0, "step": 0}
    assert total_of({"seconds": 7.0}, None, [old]) == 7.0
    assert total_of({"seconds": 7.0}, None, [old, old]) is None
    assert spent_before({}, None, [old]) is None
    assert spent_before({}, None, []) == 0.0


def test_a_heartbeat_stays_within_its_size(run):
    attempt(run, 0.0, last=1)
    assert json.loads((run.path / "pulse").read_bytes())["spent"] >= 0
    assert (run.path / "pulse").stat().st_size == 1024
