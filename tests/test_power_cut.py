"""A power cut after every step: what nobody waited for may be gone, what was promised is not.

The steps of real work are written down and taken again on a disk that forgets (tests/disk.py),
up to each of them; every outcome is then opened, and gone on with, by the real code.
"""

import os
import shutil

import pytest

from tests import fake_run
from tests.disk import Recorder, build
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import atomic

NEW = {RunState.QUEUED, RunState.INTERRUPTED, RunState.STOPPED, RunState.FINISHED}


class Life:
    """A store whose steps are written down, with what was promised after how many of them."""

    def __init__(self, root, monkeypatch):
        self.store = RunStore(root)
        self.recorder = Recorder(self.store.root)
        self.promises = []
        self.promise()
        monkeypatch.setattr(atomic, "watch", self.recorder)

    def promise(self, **facts):
        """From now on this holds, come what may."""
        before = self.promises[-1][1] if self.promises else {}
        self.promises.append((len(self.recorder.steps), {**before, **facts}))

    def damage(self, path):
        """A file changes by itself."""
        data = path.read_bytes()
        data = data[:-3] + bytes([data[-3] ^ 1]) + data[-2:]
        path.write_bytes(data)
        self.recorder("put", path, data)

    def cuts(self, folder, monkeypatch):
        """What was promised before each cut, and the store after it."""
        monkeypatch.setattr(atomic, "watch", None)
        monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no second cut follows
        root, known = folder / "after", []
        for steps, outcomes in self.recorder.cuts():
            promised = [facts for when, facts in self.promises if when <= steps][-1]
            before, known = known, [(promised, files) for files in outcomes]
            for files in (files for fact, files in known if (fact, files) not in before):
                build(files, root)
                yield promised, RunStore(root)
                shutil.rmtree(root)


class Promising(ClaimedRun):
    """A run that tells a Life what it committed."""

    def __init__(self, run, life):
        super().__init__(run)
        self._life = life

    def commit(self, state):
        super().commit(state)
        self._life.promise(committed=state.epoch)

    def end(self, state, sentence, seconds):
        super().end(state, sentence, seconds)
        self._life.promise(ended=state)


def one_run(life):
    """A run from its launch to its end."""
    folder = life.store.create(fake_run.study())
    life.promise(created=1)
    fake_run.train(Promising(folder.runs()[0], life))


def stopped_and_resumed(life):
    """Somebody stops a run after its second epoch and resumes it later."""
    run = life.store.create(fake_run.study()).runs()[0]
    life.promise(created=1)
    fake_run.train(Promising(run, life), last=2)
    request_stop(run)
    life.promise(asked=RunState.STOPPED)
    enqueue(run)
    life.promise(asked=None, resumed=True)
    fake_run.train(Promising(run, life))


def damaged_and_begun_again(life):
    """A bit of the manifest flips after the second epoch; somebody restarts the run."""
    run = life.store.create(fake_run.study()).runs()[0]
    fake_run.train(Promising(run, life), last=2)
    life.damage(run.path / "checkpoint.json")
    life.promise(created=1, committed=0, damaged=kept_files(run))
    enqueue(run)
    life.promise(resumed=True)
    fake_run.train(Promising(run, life))


def kept_files(run):
    """What its processes wrote so far, wherever it lies now: never deleted, only set aside."""
    paths = [*run.path.glob("*.json*"), *run.path.glob("*.npz"), *run.path.glob("quarantine/*")]
    return {path.read_bytes() for path in paths if path.name != "recipe.json"}


@pytest.mark.parametrize("story", [one_run, stopped_and_resumed])
def test_after_any_power_cut_a_run_is_what_was_promised_and_goes_on(story, tmp_path, monkeypatch):
    life = Life(tmp_path / "runs", monkeypatch)
    story(life)
    seen = set()
    for promised, store in life.cuts(tmp_path, monkeypatch):
        studies = store.studies()
        assert store.unreadable() == []
        if not studies:
            assert "created" not in promised
            continue
        (run,) = studies[0].runs()
        committed = fake_run.assert_prefix(run)
        assert committed >= promised.get("committed", 0)
        seen.add(run.state)
        assert run.state in NEW
        if asked := promised.get("asked"):
            assert run.state in (asked, RunState.QUEUED, RunState.INTERRUPTED)
        if promised.get("ended"):
            assert run.state is promised["ended"]
        assert promised.get("resumed") is None or run.state is not RunState.STOPPED
        go_on(run)
        fake_run.assert_finished(run)
    assert seen == (NEW if story is stopped_and_resumed else NEW - {RunState.STOPPED})


def go_on(run):
    """What people and workers do next, until it is finished."""
    if run.state is RunState.STOPPED:
        enqueue(run)
    if run.state is not RunState.FINISHED:
        assert run.is_waiting
        fake_run.train(ClaimedRun(run))


def test_after_any_power_cut_a_damaged_run_is_damaged_or_begins_again_and_keeps_all(
    tmp_path, monkeypatch
):
    life = Life(tmp_path / "runs", monkeypatch)
    damaged_and_begun_again(life)
    seen = set()
    for promised, store in life.cuts(tmp_path, monkeypatch):
        if "damaged" not in promised:
            continue
        run = next(store.runs())
        seen.add(run.state)
        if run.state is RunState.DAMAGED:
            assert "resumed" not in promised
            assert "checkpoint.json is damaged" in run.sentence
            enqueue(run)
        go_on(run)
        fake_run.assert_finished(run)
        assert promised["damaged"] <= kept_files(run)
    assert seen == {RunState.DAMAGED, *NEW} - {RunState.STOPPED}


def people(life):
    """What people do with studies."""
    first, second = (life.store.create(fake_run.study(pairs=2)) for _ in range(2))
    life.promise(first=first.id, titles={"Which order?"})
    for before, after in [("Which order?", "Monday"), ("Monday", "Tuesday")]:
        life.promise(titles={before, after})
        first.label(title=after)
        life.promise(titles={after})
    life.store.delete(second.id)
    life.promise(deleted=second.id)


def test_after_any_power_cut_what_people_did_is_done(tmp_path, monkeypatch):
    life = Life(tmp_path / "runs", monkeypatch)
    people(life)
    for promised, store in life.cuts(tmp_path, monkeypatch):
        assert store.unreadable() == []
        studies = {study.id: study for study in store.studies()}
        for study in studies.values():
            assert [run.state for run in study.runs()] == [RunState.QUEUED] * 2
        if "first" in promised:
            assert studies[promised["first"]].title in promised["titles"]
        assert promised.get("deleted") not in studies
