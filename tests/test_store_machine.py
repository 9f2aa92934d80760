"""Any order of what people, workers and death do to a store: promises hold, states tell the truth.

THAW_ATTACKS=50 plays fifty times as many games.
"""

import shutil
import tempfile
from contextlib import ExitStack
from functools import partial
from itertools import count
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests import fake_run
from tests.attacks import TIMES
from tl_engine.errors import StoreError
from tl_engine.runs import ClaimedRun, GaveUp, RunState, RunStore
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import atomic

QUEUED, RUNNING, STOPPED = RunState.QUEUED, RunState.RUNNING, RunState.STOPPED
INTERRUPTED, FINISHED, FAILED = RunState.INTERRUPTED, RunState.FINISHED, RunState.FAILED
LIVES = st.one_of(st.just(10_000), st.integers(0, 25))
"""How many steps whoever acts has to live; mostly enough."""


NUMBERS = st.integers(0, 2)
there = precondition(lambda self: self.promised)
at_work = precondition(lambda self: self.workers)


class Death(BaseException):
    """The process is gone; nothing that follows is done."""


class Promised:
    """What was promised about a run, and what may be true besides since somebody died."""

    def __init__(self):
        self.committed = 0
        self.rests = {QUEUED}
        self.stop = {False}


class Store(RuleBasedStateMachine):
    """Runs with at most one process each, and people; whoever acts may die at any step."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="thaw-"))
        self.open = ExitStack()
        self.open.enter_context(mock.patch("os.fsync"))  # nobody cuts the power here
        self.open.enter_context(mock.patch("tl_engine.storage.locks.PROBE_SECONDS", 0.0))
        # The same game again has to come to the same order of studies.
        suffix = map("{:04}".format, count())
        self.open.enter_context(
            mock.patch("tl_engine.runs.store._random_suffix", lambda: next(suffix))
        )
        self.store = RunStore(self.folder)
        self.promised, self.titles, self.workers = {}, {}, {}

    def teardown(self):
        for lock, _ in self.workers.values():
            lock.close()
        self.open.close()
        shutil.rmtree(self.folder)

    @initialize()
    def begin_with_a_study(self):
        self.new_study(life=10_000)

    @precondition(lambda self: len(self.promised) < 3)
    @rule(life=LIVES)
    def create(self, life):
        self.new_study(life)

    def new_study(self, life):
        studies = {study.id for study in self.store.studies()}
        died = self.dies(life, lambda: self.store.create(fake_run.study()))
        (study,) = {study.id for study in self.store.studies()} - studies or {None}
        assert study or died
        if study:
            self.promised[f"{study}/arm1-pair01"] = Promised()
            self.titles[study] = {"Which order?"}

    @rule(life=st.one_of(st.just(10_000), st.integers(0, 120)), epochs=st.integers(0, 5))
    def work(self, life, epochs):
        """A worker takes the run that waits longest, and trains some epochs unless it dies."""
        if run := self.store.next_waiting():
            lock = ExitStack()
            assert lock.enter_context(run.hold())
            assert run.observe(held_here=True).state.is_waiting
            self.workers[run.id] = lock, ClaimedRun(run)
            self.works(run.id, life, lambda run_id: self.begin_and_train(run_id, epochs))

    def begin_and_train(self, run_id, epochs):
        self.begin(run_id)
        for _ in range(epochs):
            if run_id in self.workers:
                self.train(run_id)

    def begin(self, run_id):
        _, claimed = self.workers[run_id]
        promised = self.promised[run_id]
        # It may stay queued until it has left the queue.
        promised.rests |= {INTERRUPTED, STOPPED}
        try:
            claimed.begin()
        except GaveUp as sentence:
            promised.rests |= {FAILED}
            claimed.end(FAILED, str(sentence), 1.0)
            promised.rests = {FAILED}
            self.leave(run_id)
            return
        promised.rests = {INTERRUPTED, STOPPED}
        claimed.record_environment(fake_run.ENVIRONMENT)
        claimed.rewind_history(fake_run.assert_prefix(claimed))

    @at_work
    @rule(number=NUMBERS, life=LIVES)
    def train_an_epoch(self, number, life):
        self.works(self.one_of(self.workers, number), life, self.train)

    def train(self, run_id):
        _, claimed = self.workers[run_id]
        promised, epoch = self.promised[run_id], len(claimed.epochs()) + 1
        if claimed.stop_requested:
            assert True in promised.stop
            claimed.end(STOPPED, "Stopped by request.", 1.0)
            promised.rests = {STOPPED}
            return self.leave(run_id)
        if epoch <= fake_run.EPOCHS:
            claimed.commit(fake_run.state(epoch - 1, step=3))
            claimed.append_epoch(fake_run.line(epoch))
            claimed.commit(fake_run.state(epoch))
            promised.committed = epoch
        else:
            claimed.record_results(fake_run.SCORES, fake_run.PROBABILITIES)
            claimed.save_model(fake_run.save)
            promised.rests |= {FINISHED}
            claimed.end(FINISHED, "Every epoch is done.", 1.0)
            promised.rests = {FINISHED}
            self.leave(run_id)
            fake_run.assert_finished(claimed)
        return None

    @at_work
    @rule(number=NUMBERS)
    def kill(self, number):
        self.leave(self.one_of(self.workers, number))

    @there
    @rule(number=NUMBERS, life=LIVES)
    def stop(self, number, life):
        run_id = self.one_of(self.promised, number)
        run, promised = self.store.run(run_id), self.promised[run_id]
        if run.state.is_over:
            with pytest.raises(StoreError, match="already"):
                request_stop(run)
            return
        promised.stop |= {True}
        if self.dies(life, partial(request_stop, run)):
            promised.rests |= {STOPPED}
        else:
            promised.stop = {True}
            promised.rests = {STOPPED}

    @there
    @rule(number=NUMBERS, life=LIVES)
    def resume(self, number, life):
        run_id = self.one_of(self.promised, number)
        run, promised = self.store.run(run_id), self.promised[run_id]
        if run_id in self.workers or not run.state.is_resumable:
            with pytest.raises(StoreError, match="cannot be resumed"):
                enqueue(run)
            return
        promised.rests |= {QUEUED}
        if self.dies(life, partial(enqueue, run)):
            promised.stop |= {False}
        else:
            promised.rests, promised.stop = {QUEUED}, {False}

    @there
    @rule(number=NUMBERS, life=LIVES, title=st.sampled_from(["Monday", "Tuesday", "Wednesday"]))
    def rename(self, number, life, title):
        run_id = self.one_of(self.promised, number)
        study = self.store.run(run_id).study
        self.titles[study.id] |= {title}
        if not self.dies(life, lambda: study.label(title=title)):
            self.titles[study.id] = {title}

    @there
    @rule(number=NUMBERS, life=st.integers(0, 10))
    def delete(self, number, life):
        run_id = self.one_of(self.promised, number)
        study_id = run_id.partition("/")[0]
        if run_id in self.workers:
            with pytest.raises(StoreError, match="is running"):
                self.store.delete(study_id)
            return
        died = self.dies(life, lambda: self.store.delete(study_id))
        if not (self.folder / study_id).exists():
            del self.promised[run_id], self.titles[study_id]
        else:
            assert died

    @rule()
    def reopen(self):
        self.store = RunStore(self.folder)
        self.store.sweep()

    @invariant()
    def every_run_is_what_was_promised(self):
        runs = {run.id: run for run in self.store.runs()}
        assert set(runs) == set(self.promised)
        assert self.store.unreadable() == []
        for run_id, promised in self.promised.items():
            run, state = runs[run_id], runs[run_id].state
            assert run.study.title in self.titles[run.study.id]
            assert fake_run.assert_prefix(run) >= promised.committed
            with run.hold() as ours:
                assert bool(ours) == (run_id not in self.workers)
            assert state in ({RUNNING} if run_id in self.workers else promised.rests)
            if state is STOPPED:
                assert True in promised.stop
            if state is FINISHED:
                assert promised.committed == fake_run.EPOCHS

    def one_of(self, runs, number):
        return list(runs)[number % len(runs)]

    def works(self, run_id, life, act):
        """A process works on its run, and lets go of it when it dies."""
        if self.dies(life, lambda: act(run_id)):
            committed = fake_run.assert_prefix(self.store.run(run_id))
            assert committed >= self.promised[run_id].committed
            self.promised[run_id].committed = committed
            self.leave(run_id)

    def leave(self, run_id):
        lock, _ = self.workers.pop(run_id)
        lock.close()
        promised = self.promised[run_id]
        if promised.rests == {INTERRUPTED, STOPPED} and len(promised.stop) == 1:
            promised.rests = {STOPPED if True in promised.stop else INTERRUPTED}

    def dies(self, life, act):
        """Whether somebody who acts dies after so many steps."""
        steps = iter(range(life))

        def watch(step, path, detail):
            if next(steps, None) is None:
                raise Death

        with mock.patch.object(atomic, "watch", watch):
            try:
                act()
            except Death:
                return True
        return False


TestAnyOrder = Store.TestCase
TestAnyOrder.settings = settings(
    max_examples=100 * TIMES,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
