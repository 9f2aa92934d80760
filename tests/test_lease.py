"""Leases: who holds what until when, found without waiting, whatever holds it."""

import subprocess
import sys
import time

import pytest

from tests import fake_run
from tests.conftest import PROJECT
from tl_engine.runs import ClaimedRun, Evaluation, RunState, StudyEvaluation
from tl_engine.storage import locks
from tl_engine.storage.lease import Holder, Holding, hold, is_held
from tl_engine.storage.locks import FlockLease


class TimedLease:
    """A lease that is held until a time, which no lock of this machine knows of."""

    until = 0.0

    def __init__(self, path):
        self.path = path

    def holder(self):
        return Holder(self.until, "that of another machine")

    def take(self, *, wait=False):
        return None if is_held(self) else Holding(lambda: None)

    def adopt(self, handover):
        return Holding(lambda: None)


@pytest.fixture
def run(store):
    return store.create(fake_run.study()).runs()[0]


@pytest.fixture
def timed(run, monkeypatch):
    """A run that another machine began, and the leases of its store."""
    claimed = ClaimedRun(run)
    fake_run.train(claimed, last=2)
    claimed.report({"stage": "Training"})
    monkeypatch.setattr(locks, "FlockLease", TimedLease)
    return TimedLease


def test_a_run_whose_lease_has_ended_is_interrupted_whatever_its_process_last_said(run, timed):
    timed.until = time.time() - 1
    assert run.heartbeat.progress == {"stage": "Training"}
    assert run.state is RunState.INTERRUPTED
    assert run.is_waiting
    with run.hold() as holding:
        assert holding


def test_a_run_whose_lease_goes_on_is_running_without_any_lock(run, timed):
    timed.until = time.time() + 60
    assert run.state is RunState.RUNNING
    with run.hold() as holding:
        assert holding is None


def test_all_that_one_process_does_at_a_time_is_known_by_its_lease(run, store, timed):
    evaluation = StudyEvaluation(run.study, Evaluation.ROBUSTNESS)
    for seconds, held in ((60, True), (-1, False)):
        timed.until = time.time() + seconds
        leases = (store.worker_lease, store.training_lease, store.measurement_lease)
        assert [is_held(lease) for lease in leases] == [held] * 3
        assert evaluation.is_alive is held
        assert (evaluation.take() is None) is held


def test_what_a_claimed_run_commits_carries_the_token_of_its_holding(run):
    tokens = []
    for last in (1, 2):
        with run.hold() as holding:
            fake_run.train(ClaimedRun(run, holding), last=last)
            assert run.records.read("checkpoint.json")["lease"] == holding.token
            tokens.append(holding.token)
    assert len({*tokens}) == 2
    fake_run.train(ClaimedRun(run))
    assert "lease" not in run.records.read("checkpoint.json")
    fake_run.assert_finished(run)


def test_a_flock_lasts_as_long_as_its_holder_and_shows_no_time(tmp_path):
    lease = FlockLease(tmp_path / "lock")
    assert lease.holder() is None
    assert not (tmp_path / "lock").exists()  # who asks leaves nothing
    with lease.take() as holding:
        assert lease.holder() == Holder(until=None)
        assert is_held(lease)
        assert lease.take() is None
        assert len(bytes.fromhex(holding.token)) == 16
    assert not is_held(lease)
    assert lease.take().token != holding.token


def test_a_flock_is_handed_to_a_process_whose_children_do_not_have_it(tmp_path):
    lease = FlockLease(tmp_path / "lock")
    code = (
        "import subprocess, sys\n"
        "from pathlib import Path\n"
        "from tl_engine.storage.lease import hold\n"
        "from tl_engine.storage.locks import FlockLease\n"
        "with hold(FlockLease(Path(sys.argv[1])), handover=sys.argv[2]) as holding:\n"
        "    assert holding\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'input()'], close_fds=False)\n"
        "    sys.stdin.readline()\n"
        "child.kill()\n"
        "child.wait()\n"
        "print('released', flush=True)\n"
        "sys.stdin.readline()\n"
    )
    with lease.take() as holding:
        child = subprocess.Popen(
            [sys.executable, "-c", code, str(lease.path), holding.handover],
            cwd=PROJECT,
            pass_fds=holding.descriptors,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    with child:
        assert is_held(lease)
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "released\n"
        assert not is_held(lease)


def test_a_lease_that_is_handed_over_is_not_taken_again(tmp_path):
    lease = FlockLease(tmp_path / "lock")
    taken = lease.take()
    with hold(lease) as second:
        assert second is None
    with hold(lease, handover=taken.handover) as holding:
        assert holding
        assert is_held(lease)
    assert not is_held(lease)
