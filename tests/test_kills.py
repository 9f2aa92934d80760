"""Real training that is killed, or whose disk is full: it goes on, and ends with the same bits.

A run is killed with SIGKILL in six places, each time at another step, and resumed by a fresh
process after each. THAW_ATTACKS=16 kills at every step of every place.
"""

import errno
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
from collections import Counter
from fnmatch import fnmatch
from itertools import count

import pytest

import tl_engine.runs
from tests.attacks import some
from tests.conftest import tiny_study
from tests.helpers import wait_until
from tl_engine.execution.worker import execute
from tl_engine.recipe import Phase
from tl_engine.runs import COSTS, RunState, RunStore
from tl_engine.runs.claimed import MAXIMUM_RESUMES
from tl_engine.runs.run_outputs import log_tail, model_arrays, probabilities
from tl_engine.runs.run_requests import enqueue
from tl_engine.storage import atomic

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]
PHASES = (Phase("all", 2, 1e-3), Phase("head", 2, 1e-2))
RECIPE = {"augmentation": True, "batchnorm": "adapt"}
"""With dropout, which the tiny backbone has: everything that has a state of its own."""
PLACES = ("start", 1, 2, 3, 4, "end")
"""Until the first epoch; after each epoch until the next, 2 being the end of a phase; the rest."""
KEPT_STEPS = 60
"""At most as many steps as keeping what such a run computes once has."""
CHAINS = 32
"""At least as many as any place has steps, so that all chains together kill at each of them."""


class Places:
    """Told of every step, knows in which place of the run it is."""

    def __init__(self):
        self.now = "start"

    def see(self, step, path, detail):
        if step == "append" and path.name == "history.jsonl":
            self.now = json.loads(detail)["epoch"]
        if step == "create" and path.name == "probabilities.npz":
            self.now = "end"


def train_and_count(root, run_id, file):
    """Train a run in this process and write down how many steps each place has."""
    places, steps = Places(), Counter()

    def see(step, path, detail):
        places.see(step, path, detail)
        steps[str(places.now)] += 1

    atomic.watch = see
    execute(root, run_id)
    with open(file, "w") as target:
        json.dump(steps, target)


def train_and_die(root, run_id, place, number):
    """Train a run in this process until the place's step of that number."""
    places, steps = Places(), count()

    def see(step, path, detail):
        places.see(step, path, detail)
        if places.now == place and next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    atomic.watch = see
    execute(root, run_id)


def train_and_keep(root, run_id, number=None):
    """Train a run in this process, with room for what is computed once, until that step there."""
    steps = count()

    def see(step, path, detail):
        if ".cache" in path.parts and next(steps) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    os.environ["THAW_CACHE_GB"] = "1"
    atomic.watch = see
    execute(root, run_id)


def train_and_wait(root, run_id, refused):
    """Train a run in this process while the disk is full at these (place, number) of steps."""
    places, steps = Places(), Counter()

    def see(step, path, detail):
        places.see(step, path, detail)
        now = (places.now, steps[places.now])
        steps[places.now] += 1
        if now in refused:
            refused.remove(now)
            raise OSError(errno.ENOSPC, "No space left on device")

    atomic.watch = see
    execute(root, run_id)
    assert not refused


def start(target, run, *arguments):
    """A fresh process that trains the run."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tl_engine.learning.training"])
    root = str(run.study.path.parent)
    process = context.Process(target=target, args=(root, run.id, *arguments))
    process.start()
    return process


def in_a_process(target, run, *arguments):
    """The exit code of a fresh process that trains the run."""
    process = start(target, run, *arguments)
    process.join()
    return process.exitcode


def new_run(store):
    return store.create(tiny_study(*PHASES, both=False, **RECIPE)).runs()[0]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nobody disturbed, and how many steps each of its places has."""
    folder = tmp_path_factory.mktemp("whole")
    run, file = new_run(RunStore(folder / "runs")), folder / "steps.json"
    assert in_a_process(train_and_count, run, str(file)) == 0, log_tail(run)
    assert run.state is RunState.FINISHED
    return run, json.loads(file.read_text())


def told(run):
    """Its history, without what a clock says."""
    return [{k: v for k, v in line.items() if k not in COSTS} for line in run.epochs()]


def bits(run):
    """Everything that a finished run leaves, without what a clock says."""
    arrays = {**model_arrays(run), **probabilities(run)}
    return {
        "arrays": {name: array.tobytes() for name, array in arrays.items()},
        "history": told(run),
        "splits": run.scores["splits"],
        "audits": [phase["audit"] for phase in run.scores["phases"]],
    }


def documented_names():
    """The names in a run's folder, as the documentation of tl_engine.runs lists them."""
    return re.findall(r"^      (\S+)  ", tl_engine.runs.__doc__, re.MULTILINE)


def assert_nothing_is_lost(run, place, whole):
    """What was committed is there and nothing else: at most the epoch in flight is lost."""
    over = place == "end" and run.outcome
    assert run.state is (RunState.FINISHED if over else RunState.INTERRUPTED), run.sentence
    state = run.checkpoint()
    committed = state.epoch if state else 0
    complete = {"start": 0, "end": len(told(whole))}.get(place, place)
    assert committed in (complete - 1, complete) or place == "start"
    assert committed <= len(run.epochs()) <= committed + 1
    assert told(run) == told(whole)[: len(run.epochs())]


def test_every_place_has_its_steps(whole):
    _, steps = whole
    assert list(steps) == [str(place) for place in PLACES]
    assert max(steps.values()) <= CHAINS


@pytest.mark.parametrize("chain", some(range(CHAINS), 2))
def test_a_run_that_is_killed_in_every_place_ends_with_the_same_bits(store, whole, chain):
    reference, steps = whole
    run = new_run(store)
    for place in PLACES:
        number = chain % steps[str(place)]
        code = in_a_process(train_and_die, run, place, number)
        assert code == -signal.SIGKILL, f"it did not come to step {number} of {place}"
        assert_nothing_is_lost(run, place, reference)
        if len(run.attempts()) == MAXIMUM_RESUMES:
            enqueue(run)  # six kills are more than it survives by itself
    assert in_a_process(execute, run) == 0
    assert_as_if_nothing_had_happened(run, reference)


@pytest.mark.parametrize("number", some(range(KEPT_STEPS), 3))
def test_a_run_that_is_killed_while_it_keeps_what_it_computed_ends_with_the_same_bits(
    store, tmp_path, number
):
    phases = (Phase("head", 2, 1e-2), Phase(1, 1, 1e-3))
    study = tiny_study(*phases, both=False)
    run, reference = store.create(study).runs()[0], RunStore(tmp_path / "other").create(study)
    assert in_a_process(execute, reference.runs()[0]) == 0
    assert in_a_process(train_and_keep, run, number) == -signal.SIGKILL, "there is no such step"
    assert in_a_process(train_and_keep, run) == 0, log_tail(run)
    assert bits(run) == bits(reference.runs()[0])
    another = store.create(study).runs()[0]  # finds what survived
    assert in_a_process(train_and_keep, another) == 0, log_tail(another)
    assert bits(another) == bits(run)
    assert all("shared" in line for line in another.epochs())


def test_a_run_that_waited_for_the_disk_ends_with_the_same_bits(store, whole):
    run = new_run(store)
    refused = {(1, 0), (1, 1), (3, 9), (3, 10), ("end", 13), ("end", 14)}
    assert in_a_process(train_and_wait, run, refused) == 0, log_tail(run)
    assert_as_if_nothing_had_happened(run, whole[0])


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 4 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("nobody but root may mount a disk")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(disk, free):
    """Fill the disk up, or free it, until so many bytes are free."""
    ballast = disk / "ballast"
    there = ballast.stat().st_size if ballast.exists() else 0
    with open(ballast, "ab") as file:
        left = shutil.disk_usage(disk).free
        if left > free:
            file.write(bytes(left - free))
        else:
            file.truncate(there + left - free)


def test_a_real_disk_that_is_full_twice_costs_no_bit(small_disk, whole):
    run = new_run(RunStore(small_disk / "runs"))
    leave(small_disk, 50_000)
    process = start(execute, run)
    for sentence, free in [("0 MB free", 150_000), ("0 MB free", 3_000_000)]:
        wait_until(lambda: run.state is RunState.PAUSED)
        assert sentence in run.sentence
        epochs = len(run.epochs())
        leave(small_disk, free)
        wait_until(lambda n=epochs: len(run.epochs()) > n or run.state is not RunState.PAUSED)
    process.join()
    assert process.exitcode == 0
    assert_as_if_nothing_had_happened(run, whole[0])


def assert_as_if_nothing_had_happened(run, reference):
    assert run.state is RunState.FINISHED, run.sentence
    assert bits(run) == bits(reference)
    assert_no_litter(run)


def assert_no_litter(run):
    """Nothing is there but what the documentation of tl_engine.runs names."""
    names = os.listdir(run.path)
    patterns = documented_names()
    assert [name for name in names if not any(fnmatch(name, one) for one in patterns)] == []
    assert [name for name in names if fnmatch(name, "model-*.npz")] == ["model-0002-000000.npz"]
    assert [name for name in names if fnmatch(name, "free-*.npz")] == ["free-0004-000000.npz"]
    assert [name for name in names if fnmatch(name, "optimizer-*.npz")] == []
