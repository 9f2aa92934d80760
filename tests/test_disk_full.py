"""A disk that is full or refuses: nothing that was kept is harmed, runs wait, people are told."""

import errno
import os
import re
import shutil
from itertools import count

import pytest

from tests import fake_run
from tests.attacks import some
from tl_engine.cli import main
from tl_engine.runs import ClaimedRun, Run, RunState, RunStore, Stopped, StudyFolder
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import atomic

FULL = r"Disk full: 1 MB needed, [\d]+ MB free\."
REFUSED = "The disk refuses to be written: {}."


class Refusing:
    """Counts steps, and refuses so many of them from a chosen one on."""

    def __init__(self, first=None, times=1, number=errno.ENOSPC):
        self.seen, self._number, self.last = 0, number, ""
        self.after_a_removal = False
        self._refused = range(first, first + times) if first is not None else ()

    def __call__(self, step, path, detail):
        self.seen += 1
        if self.seen - 1 in self._refused:
            self.look()
            self.after_a_removal |= self.last == "remove"
            raise OSError(self._number, os.strerror(self._number), str(path))
        self.last = step

    def look(self):
        """What a test looks at while the disk refuses."""


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Nobody cuts the power here, and nobody has to wait."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    monkeypatch.setattr("tl_engine.runs.claimed.RETRY_SECONDS", 0.0)


def new_run(store):
    return ClaimedRun(store.create(fake_run.study()).runs()[0])


def steps_of(action, monkeypatch):
    """How many steps an action takes."""
    watch = Refusing()
    monkeypatch.setattr(atomic, "watch", watch)
    action()
    monkeypatch.setattr(atomic, "watch", None)
    return watch.seen


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, FULL),
        (errno.EDQUOT, FULL),
        (errno.EROFS, REFUSED.format("Read-only file system")),
        (errno.EACCES, REFUSED.format("Permission denied")),
        (errno.EIO, REFUSED.format("Input/output error")),
    ],
)
def test_a_run_waits_wherever_the_disk_refuses_and_ends_as_if_it_had_not(
    store, monkeypatch, number, sentence
):
    half = half_a_run(store)
    steps = steps_of(lambda: fake_run.train(copy_of(half, "counted")), monkeypatch)
    for first in range(steps) if number == errno.ENOSPC else some(range(steps), 10):
        run, watch = copy_of(half, f"refused-{first}"), Refusing(first, 2, number)
        shown = watch_while_refused(run, watch, monkeypatch)
        fake_run.assert_finished(run)
        if not watch.after_a_removal:  # what is gone is not removed again
            assert shown[1][0] is RunState.PAUSED, f"refused step {first} and the next"
            assert re.fullmatch(sentence, shown[1][1])


def half_a_run(store):
    """A run whose process died in a commit after the second epoch."""
    run = new_run(store)
    fake_run.train(run, last=2)
    (run.path / ".model-0002.npz.half").touch()
    (run.path / "model-0003-000000.npz").touch()
    return run


def copy_of(run, study_id):
    """The run as it is now, in a study of its own."""
    path = shutil.copytree(run.study.path, run.study.path.parent / study_id)
    return ClaimedRun(StudyFolder(path).runs()[0])


def watch_while_refused(run, watch, monkeypatch):
    """Train the run to its end; what others saw of it each time that the disk refused."""
    seen, shown = Run(run.path, run.study), []

    def look():
        fake_run.assert_prefix(seen)
        observed = seen.observe()
        shown.append((observed.state, observed.sentence))

    watch.look = look
    with run.hold():
        monkeypatch.setattr(atomic, "watch", watch)
        fake_run.train(run)
        monkeypatch.setattr(atomic, "watch", None)
        assert "paused" not in seen.heartbeat.progress
    return shown


def test_a_run_that_waits_for_the_disk_can_be_stopped(store, monkeypatch):
    run, watch = new_run(store), Refusing(60, 10_000)
    watch.look = lambda: watch.seen > 70 and (run.path / "stop").touch()
    with run.hold(), pytest.raises(Stopped):
        monkeypatch.setattr(atomic, "watch", watch)
        fake_run.train(run)
    assert run.state is RunState.STOPPED
    assert fake_run.assert_prefix(run) == 1
    monkeypatch.setattr(atomic, "watch", None)
    enqueue(run)
    fake_run.train(run)
    fake_run.assert_finished(run)


def queued(store):
    return store.create(fake_run.study(pairs=2))


def stopped(store):
    folder = queued(store)
    fake_run.train(ClaimedRun(folder.runs()[0]), last=1)
    request_stop(folder.runs()[0])
    return folder


def damaged(store):
    folder = queued(store)
    fake_run.train(ClaimedRun(folder.runs()[0]), last=1)
    (folder.runs()[0].path / "checkpoint.json").write_text("{}")
    return folder


WISHES = {
    "launch": (queued, lambda folder, store: queued(store)),
    "rename": (queued, lambda folder, store: folder.label(title="Monday")),
    "stop": (queued, lambda folder, store: request_stop(folder.runs()[0])),
    "resume": (stopped, lambda folder, store: enqueue(folder.runs()[0])),
    "restart": (damaged, lambda folder, store: enqueue(folder.runs()[0])),
    "delete": (queued, lambda folder, store: store.delete(folder.id)),
}


def shown(store):
    """What people see of a store."""
    assert store.unreadable() == []
    return [(study.title, [run.state for run in study.runs()]) for study in store.studies()]


@pytest.mark.parametrize("wish", WISHES)
def test_what_people_wish_for_on_a_full_disk_is_done_or_not_and_they_are_told(
    tmp_path, monkeypatch, wish
):
    prepare, act = WISHES[wish]
    stores = (RunStore(tmp_path / f"runs-{number}") for number in count())
    store = next(stores)
    folder = prepare(store)
    before = shown(store)
    steps = steps_of(lambda: act(folder, store), monkeypatch)
    after = shown(store)
    assert before != after
    for first in range(steps):
        store = next(stores)
        folder = prepare(store)
        monkeypatch.setattr(atomic, "watch", Refusing(first))
        with pytest.raises(OSError, match="No space left"):
            act(folder, store)
        monkeypatch.setattr(atomic, "watch", None)
        assert shown(store) in (before, after)
        if shown(store) == before:
            act(store.studies()[0], store)
            assert shown(store) == after
        assert not [path for path in store.root.rglob(".*") if path.is_file()]


def test_the_command_line_says_it_in_a_sentence(store, monkeypatch, capsys):
    study = queued(store)
    monkeypatch.setattr(atomic, "watch", Refusing(0))
    assert main(["stop", study.id, "--runs-dir", str(store.root)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("The disk refuses to be written: No space left on device.")
    assert said.count("\n") == 1
    assert {run.state for run in study.runs()} == {RunState.QUEUED}
