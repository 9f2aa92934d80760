"""Several processes on one store: nobody loses what was acknowledged, no run has two owners.

THAW_ATTACKS=10 lets them write and die ten times as long.
"""

import fcntl
import json
import multiprocessing
import os
import random
import subprocess
import sys
import threading
import time

import psutil
import pytest

from tests import fake_run
from tests.attacks import SEED, TIMES
from tests.helpers import wait_until
from tl_engine.errors import StoreError
from tl_engine.execution.launcher import launcher
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.runs.heartbeat import HeartbeatWriter
from tl_engine.runs.layout import records_in
from tl_engine.runs.run import Run
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import atomic, record_files
from tl_engine.storage.lease import is_held

WRITERS = 4
KILLS = 20 * TIMES


def write(root, number, shared, own, said):
    """Write on and on, saying what is done once it is."""
    store = RunStore(root)
    descriptor = os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def say(**fact):
        os.write(descriptor, (json.dumps(fact) + "\n").encode())

    run = ClaimedRun(store.run(own))
    with run.hold() as ours:
        say(owns=bool(ours))
        run.begin() if run.is_queued else None
        known = run.checkpoint()
        run.rewind_history(known.epoch if known else 0)
        for epoch in range(known.epoch + 1 if known else 1, 100_000):
            run.append_epoch(fake_run.line(epoch))
            run.commit(fake_run.state(epoch))
            say(epoch=epoch)
            store.add_measurement({"writer": number, "epoch": epoch})
            say(measured=epoch)
            store.study(shared).label(title=f"{number}: {epoch}")
            say(titled=f"{number}: {epoch}")
            if epoch % 10 == 0:
                say(created=store.create(fake_run.study()).id)
            with store.study(shared).runs()[0].hold() as mine:
                if mine:
                    say(alone=is_alone(f"{store.root}.owner"))


def length(path):
    return path.stat().st_size if path.exists() else 0


def is_alone(path):
    """Whether nobody else is here: a lock of another kind than the store's, held for a moment."""
    with open(path, "ab") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        time.sleep(0.002)
        return True


def test_writers_that_are_killed_at_random_lose_nothing_that_they_said(tmp_path):
    store, dice = RunStore(tmp_path / "runs"), random.Random(SEED)
    shared = store.create(fake_run.study())
    own = [store.create(fake_run.study()).runs()[0].id for _ in range(WRITERS)]
    said = [tmp_path / f"said-{number}" for number in range(WRITERS)]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])

    def begin(number):
        """A writer that has said something."""
        arguments = (str(store.root), number, shared.id, own[number], str(said[number]))
        process = context.Process(target=write, args=arguments)
        before = length(said[number])
        process.start()
        wait_until(lambda: length(said[number]) > before)
        return process

    writers = [begin(number) for number in range(WRITERS)]
    for _ in range(KILLS):
        time.sleep(dice.uniform(0.0, 0.3))
        number = dice.randrange(WRITERS)
        writers[number].kill()
        writers[number].join()
        writers[number] = begin(number)
    for process in writers:
        process.kill()
        process.join()

    facts = [[json.loads(line) for line in file.read_text().splitlines()] for file in said]
    measured = {(m["writer"], m["epoch"]) for m in store.measurements()}
    titles = set()
    for number, (run_id, told) in enumerate(zip(own, facts, strict=True)):
        by_kind = {kind: [f[kind] for f in told if kind in f] for fact in told for kind in fact}
        assert all(by_kind["owns"])
        assert all(by_kind.get("alone", []))
        run = store.run(run_id)
        assert run.state is RunState.INTERRUPTED
        assert fake_run.assert_prefix(run) >= max(by_kind["epoch"])
        assert {(number, epoch) for epoch in by_kind["measured"]} <= measured
        for study_id in by_kind.get("created", []):
            assert [r.state for r in store.study(study_id).runs()] == [RunState.QUEUED]
        titles |= {*by_kind["titled"], *(f"{number}: {e + 1}" for e in by_kind["epoch"])}
        titles |= {f"{number}: {epoch}" for epoch in by_kind["epoch"]}
    assert store.study(shared.id).title in titles
    assert store.unreadable() == []


def at_once(count, act):
    """Let so many threads act in the same moment; what each of them answers."""
    answers, ready = [], threading.Barrier(count)

    def one():
        ready.wait()
        answers.append(act())

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def refused(act):
    try:
        act()
    except StoreError:
        return True
    return False


def test_of_many_who_resume_or_take_a_run_in_the_same_moment_one_does(store):
    run_id = store.create(fake_run.study()).runs()[0].id
    for number in range(25):
        request_stop(store.run(run_id))
        assert sorted(at_once(4, lambda: refused(lambda: enqueue(store.run(run_id))))) == [
            False,
            *[True] * 3,
        ]
        assert store.run(run_id).state is RunState.QUEUED

        def take():
            with store.run(run_id).hold() as ours:
                if ours and store.run(run_id).observe(held_here=True).state.is_waiting:
                    run = ClaimedRun(store.run(run_id))
                    run.begin()
                    run.end(RunState.FAILED, "It is enough.", 1.0)
                    return True
            return False

        assert sorted(at_once(4, take)) == [False, False, False, True]
        assert len(store.run(run_id).attempts()) == number + 1
        enqueue(store.run(run_id))


@pytest.fixture
def run(store):
    return store.create(fake_run.study()).runs()[0]


def test_a_worker_that_begins_disturbs_no_stop_that_is_being_written(run, monkeypatch):
    claimed, begun = ClaimedRun(Run(run.path, run.study)), []

    def begin_now(step, path, detail):
        if not begun and step in ("rename", "sync folder"):
            begun.append(True)
            claimed.begin()

    monkeypatch.setattr(atomic, "watch", begin_now)
    request_stop(run)
    monkeypatch.setattr(atomic, "watch", None)
    assert begun
    assert run.stop_requested


def test_a_stranger_with_the_number_of_a_process_is_never_killed(run):
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            HeartbeatWriter(run.path).report({"stage": "Training"})
            pulse = records_in(run.path).read("pulse")
            pulse.update(pid=stranger.pid, started=psutil.Process(stranger.pid).create_time() - 100)
            (run.path / "pulse").write_text(json.dumps(record_files.with_checksum(pulse)))
            with run.hold(), pytest.raises(StoreError, match="no process trains it"):
                assert run.state is RunState.RUNNING
                launcher().end_process(run)
            assert stranger.poll() is None
        finally:
            stranger.kill()


@pytest.mark.parametrize("days", [-1, 1])
def test_a_clock_that_jumps_changes_no_state(store, monkeypatch, days):
    runs = [store.create(fake_run.study()).runs()[0] for _ in range(5)]
    queued, running, interrupted, stopped, finished = map(ClaimedRun, runs)
    fake_run.train(interrupted, last=1)
    fake_run.train(finished)
    request_stop(stopped)
    now = time.time
    with running.hold():
        running.begin()
        running.report({"stage": "Training"})
        before = [run.observe() for run in (queued, running, interrupted, stopped, finished)]
        monkeypatch.setattr(time, "time", lambda: now() + days * 86_400)
        monkeypatch.setattr(time, "time_ns", lambda: int((now() + days * 86_400) * 1e9))
        again = [run.observe() for run in (queued, running, interrupted, stopped, finished)]
        assert running.heartbeat.age < 60
        running.report({"stage": "Training"})
        assert running.state is RunState.RUNNING
    assert again == before
    assert {observed.state for observed in again} == {
        *(RunState.QUEUED, RunState.RUNNING, RunState.INTERRUPTED),
        *(RunState.STOPPED, RunState.FINISHED),
    }


def test_a_lock_that_is_left_over_means_nothing(run):
    (run.path / "lock").write_text("12345")
    (run.study.path.parent / "worker.lock").write_text("12345")
    assert run.state is RunState.QUEUED
    assert not is_held(RunStore(run.study.path.parent).worker_lease)
    with run.hold() as ours:
        assert ours
        fake_run.train(ClaimedRun(run))
    fake_run.assert_finished(run)
