"""The worker as a real process: it outlives its launcher, stops, dies and goes on."""

import os
import resource
import signal
import subprocess
import sys
import time

import psutil
import pytest

from tests.conftest import PROJECT, tiny_study
from tests.helpers import drain_in_a_process, wait_until
from tl_engine.errors import StoreError
from tl_engine.execution import worker
from tl_engine.execution.launcher import launcher
from tl_engine.recipe import Phase
from tl_engine.runs import Checkpoint, ClaimedRun, GaveUp, RunState, RunStore
from tl_engine.runs.run_outputs import log_tail
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage.lease import is_held

LONG = (Phase("all", 500, 1e-4),)


def training_process(run):
    """The process that holds the run's lock."""
    for process in psutil.process_iter():
        try:
            if any(file.path == str(run.path / "lock") for file in process.open_files()):
                return process
        except psutil.Error:
            continue
    return None


def worker_processes(store):
    """The processes that drain the store's queue."""
    processes = psutil.process_iter(["cmdline"])
    words = {process: process.info["cmdline"] or [] for process in processes}
    return [p for p, said in words.items() if str(store.root) in said and "worker" in said]


def worker_process(store):
    (process,) = worker_processes(store)
    return process


def die(root, connection):
    """A process that is killed before it says anything."""
    os.kill(os.getpid(), signal.SIGKILL)


def starve(root, connection):
    """A process that may have hardly more memory than it has."""
    limit = psutil.Process().memory_info().vms + 2**31
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    worker.serve(root, connection)


@pytest.fixture
def working(store):
    """A store whose worker trains the first of two long runs."""
    folder = store.create(tiny_study(*LONG, Phase("head", 1, 1e-3)))
    launcher().ensure_worker(store)
    first = folder.runs()[0]
    wait_until(lambda: first.epochs(), 90)
    yield folder
    for run in folder.runs():
        if not run.state.is_over:
            request_stop(run)
    wait_until(lambda: all(run.state.is_over for run in folder.runs()))
    for process in psutil.process_iter(["cmdline"]):
        if str(store.root) in (process.info["cmdline"] or []):
            process.terminate()


@pytest.mark.long
def test_a_killed_run_is_interrupted_and_goes_on_by_itself(working, store):
    first = working.runs()[0]
    process, drainer = training_process(first), worker_process(store)
    assert process.nice() >= 10
    assert os.getsid(process.pid) != os.getsid(0)  # a closed terminal ends its own session only
    drainer.kill()
    assert first.state is RunState.RUNNING
    process.kill()
    began = time.monotonic()
    wait_until(lambda: first.state is RunState.INTERRUPTED, 5)
    assert time.monotonic() - began < 5
    epochs = len(first.epochs())
    launcher().ensure_worker(store)
    wait_until(lambda: len(first.epochs()) > epochs + 1, 60)
    assert [attempt["asked"] for attempt in first.attempts()] == [True, False]
    assert first.attempts()[1]["epoch"] in (epochs - 1, epochs)


@pytest.mark.long
def test_a_process_that_hangs_is_not_responding_until_it_moves_again(working, monkeypatch):
    monkeypatch.setattr("tl_engine.runs.heartbeat.SILENT_SECONDS", 3.0)
    run = working.runs()[0]
    process = training_process(run)
    process.suspend()
    try:
        wait_until(lambda: run.state is RunState.NOT_RESPONDING, 10)
        assert "gave no sign of life for" in run.sentence
    finally:
        process.resume()
    epochs = len(run.epochs())
    wait_until(lambda: run.state is RunState.RUNNING, 10)
    wait_until(lambda: len(run.epochs()) > epochs)
    assert len(run.attempts()) == 1


@pytest.mark.long
def test_a_process_that_hangs_can_be_ended_and_nobody_else_s(working, store):
    run = working.runs()[0]
    process = training_process(run)
    process.suspend()
    request_stop(run)
    launcher().end_process(run)
    wait_until(lambda: run.state is RunState.STOPPED, 10)
    assert run.epochs()
    with pytest.raises(StoreError, match="no process trains it"):
        launcher().end_process(run)


@pytest.mark.long
def test_a_worker_that_is_asked_to_end_leaves_the_run_for_the_next(working, store):
    run = working.runs()[0]
    process, drainer = training_process(run), worker_process(store)
    drainer.kill()
    process.terminate()
    wait_until(lambda: run.state is RunState.INTERRUPTED, 10)
    assert run.checkpoint().epoch in (len(run.epochs()), len(run.epochs()) - 1)


@pytest.mark.long
def test_a_worker_outlives_the_process_that_launched_it(store):
    code = (
        "import sys\n"
        "from tests.conftest import tiny_study\n"
        "from tl_engine.execution.launcher import launch\n"
        "from tl_engine.runs import RunStore\n"
        "print(launch(tiny_study(both=False), RunStore(sys.argv[1])).id)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(store.root)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    folder = store.study(done.stdout.strip())
    (run,) = folder.runs()
    wait_until(lambda: run.state is RunState.FINISHED, 120)


def test_a_second_worker_leaves_at_once(store):
    with store.worker_lease.take():
        began = time.monotonic()
        drain_in_a_process(store)
        assert time.monotonic() - began < 20


@pytest.mark.long
def test_of_many_who_ask_at_once_one_starts_a_worker(store):
    folder = store.create(tiny_study(*LONG, both=False))
    code = (
        "import sys\n"
        "from tl_engine.execution.launcher import launcher\n"
        "from tl_engine.runs import RunStore\n"
        "for _ in range(20): launcher().ensure_worker(RunStore(sys.argv[1]))"
    )
    asking = [
        subprocess.Popen([sys.executable, "-c", code, str(store.root)], cwd=PROJECT)
        for _ in range(4)
    ]
    assert [one.wait(60) for one in asking] == [0] * 4
    workers = worker_processes(store)
    request_stop(folder.runs()[0])
    assert len(workers) == 1
    workers[0].kill()


@pytest.mark.long
def test_a_run_that_runs_out_of_memory_says_so(store, monkeypatch):
    monkeypatch.setattr(worker, "serve", starve)
    study = tiny_study(both=False, image_size=512, batch_size=2048, train_images=2048)
    (run,) = store.create(study).runs()
    worker.drain(store, 0)
    assert run.state is RunState.FAILED
    assert run.sentence.startswith("It ran out of memory"), log_tail(run)


def test_a_process_that_linux_killed_for_memory_is_not_tried_again(store, monkeypatch):
    monkeypatch.setattr(worker, "serve", die)
    counts = iter([3, 4])
    monkeypatch.setattr(worker, "_out_of_memory_kills", lambda: next(counts))
    (run,) = store.create(tiny_study(both=False)).runs()
    worker.drain(store, 0)
    assert run.state is RunState.FAILED
    assert run.sentence.startswith("It ran out of memory")
    assert not run.is_queued


def test_a_run_that_dies_again_and_again_is_given_up_with_a_sentence(store):
    run = ClaimedRun(store.create(tiny_study(both=False)).runs()[0])
    run.begin()  # asked for
    for _ in range(2):
        run.begin()
    with pytest.raises(GaveUp, match="died 3 times in a row without getting any further"):
        run.begin()
    run.end(RunState.FAILED, "It gave up.", 0.0)
    enqueue(run)
    run.begin()  # asked for again
    for epoch in range(1, 6):
        run.append_epoch({"epoch": epoch})
        run.commit(Checkpoint(epoch, 0, {}, {}, {}))
        run.begin()
    run.append_epoch({"epoch": 6})
    run.commit(Checkpoint(6, 0, {}, {}, {}))
    with pytest.raises(GaveUp, match="died 6 times; it goes on by itself at most 5 times"):
        run.begin()


def test_an_empty_queue_starts_no_worker(store):
    launcher().ensure_worker(store)
    assert not is_held(store.worker_lease)


def test_a_run_that_fails_says_why_and_the_next_one_runs(store, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    failing = store.create(tiny_study(both=False, dataset="cifar10", train_images=100)).runs()[0]
    passing = store.create(tiny_study(both=False)).runs()[0]
    drain_in_a_process(store)
    assert failing.state is RunState.FAILED
    assert "CIFAR-10" in failing.sentence
    assert "CIFAR-10" in log_tail(failing)
    assert passing.state is RunState.FINISHED


def test_the_store_knows_whether_a_worker_lives(working, store):
    assert is_held(RunStore(store.root).worker_lease)
