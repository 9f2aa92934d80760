"""Whatever lies under runs/: a valid value or one damaged item, and nothing else is hidden."""

import json
import os
import shutil
import socket

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import fake_run
from tests.conftest import tiny_study
from tests.test_recipe import recipes
from tl_engine.errors import StoreError, ThawError
from tl_engine.runs import (
    ClaimedRun,
    Run,
    RunState,
    RunStore,
    epoch_line,
    joined_history,
    summarise,
)
from tl_engine.runs.evidence import of_store
from tl_engine.runs.layout import RESULT_FILES
from tl_engine.runs.observations import split_sound
from tl_engine.runs.run_outputs import bytes_on_disk, log_tail, probabilities
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import record_files
from tl_engine.storage.locks import FlockLease
from tl_engine.study import Study, name_arms

OF_A_RUN = ("recipe.json", "outcome.json", "pulse", "attempts.jsonl", "lock", *RESULT_FILES)
MEASURED = {
    "loss": 1.0,
    "accuracy": 0.5,
    "val_loss": 1.0,
    "val_accuracy": 0.5,
    "seconds": 1.0,
    "images": 100,
}
OF_A_STUDY = ("study.json", "label.json", "openings.jsonl")
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=6,
)


def trained(study):
    """Train every run of a study, without a network."""
    for run in study.runs():
        with run.hold():
            fake_run.train(ClaimedRun(run))


@pytest.fixture
def world(store):
    """A store with a finished study of two arms, another one, and a queued one."""
    victim = store.create(tiny_study(*fake_run.PHASES))
    witness = store.create(tiny_study(*fake_run.PHASES, batch_size=16))
    queued = store.create(fake_run.study())
    victim.label(title="Victim", note="A note")
    trained(victim)
    trained(witness)
    return store, victim, witness, queued


def look(root, victim, witness, queued):
    """Ask everything that pages and the worker ask; the runs of the victim that are sound."""
    store = RunStore(root)
    every = [*store.studies(), *store.unreadable()]
    for study in every:
        try:
            _ = study.damage, study.is_readable and (study.title, study.note, study.runs())
            _ = of_store(study.path.parent).test_accesses(study)
        except ThawError:
            pass
    shown = {study.id: study for study in every}
    assert {victim.id, witness.id, queued.id} <= set(shown)
    runs = [run for run in store.runs() if run.study.id in (victim.id, witness.id)]
    for run in runs:
        try:
            _ = summarise(run), run.observe(), run.attempts(), bytes_on_disk(run), log_tail(run)
            _ = probabilities(run), run.environments
        except ThawError as error:
            assert str(error)
    sound, _ = split_sound(runs)
    history = joined_history(sound)
    ours = history[history["study"] == witness.id]
    expected = 2 * [fake_run.line(epoch)["val_accuracy"] for epoch in range(1, 5)]
    assert sorted(ours["val_accuracy"]) == sorted(expected)
    waiting = store.next_waiting()
    assert waiting is not None
    store.sweep()
    return [run for run in sound if run.study.id == victim.id]


def put(path, kind):
    """Put something that is no file at a place."""
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        place = os.getcwd()
        os.chdir(path.parent)  # the address of a socket has 107 characters at most
        try:
            socket.socket(socket.AF_UNIX).bind(path.name)
        finally:
            os.chdir(place)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "link to nothing":
        path.symlink_to(path.parent / "nothing")
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "kind",
    ["folder", "pipe", "socket", "link to itself", "link to nothing", "link to /dev/zero"],
)
def test_what_is_no_file_damages_its_own_run_and_nobody_waits_for_it(world, kind):
    store, *studies = world
    victim = studies[0]
    run = victim.runs()[0]
    for name in OF_A_RUN:
        path = run.path / name
        shutil.copy(path, store.root / ".aside") if path.exists() else None
        put(path, kind)
        sound = look(store.root, *studies)
        assert [one.path.name for one in sound][-1:] == ["arm2-pair01"]
        if name in ("outcome.json", "history.jsonl", "scores.json", "environment.json"):
            assert len(sound) == 1, name
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if (store.root / ".aside").exists():
            shutil.move(store.root / ".aside", path)
    for name in OF_A_STUDY:
        path = victim.path / name
        shutil.copy(path, store.root / ".aside") if path.exists() else None
        put(path, kind)
        look(store.root, *studies)
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if (store.root / ".aside").exists():
            shutil.move(store.root / ".aside", path)
    assert len(look(store.root, *studies)) == 2


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_json_is_a_value_or_one_damaged_item(world, data):
    store, *studies = world
    victim = studies[0]
    name = data.draw(st.sampled_from([n for n in (*OF_A_RUN, *OF_A_STUDY) if "." in n]))
    folder = victim.path if name in OF_A_STUDY else victim.runs()[0].path
    path = folder / name
    whole = path.read_bytes() if path.exists() else None
    try:
        if name.endswith(".json") and whole and data.draw(st.booleans()):
            value = json.loads(whole)
            value.pop(record_files.CHECKSUM, None)
            value[data.draw(st.sampled_from(sorted(value)))] = data.draw(ANY_JSON)
            text = json.dumps(record_files.with_checksum(value))
        else:
            text = json.dumps(data.draw(ANY_JSON))
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        look(store.root, *studies)
    finally:
        path.unlink() if whole is None else path.write_bytes(whole)


@pytest.mark.parametrize(
    "text",
    [
        b'{"created": 5}',
        b'{"epoch": ' + b"1" * 400 + b"}",
        b'{"epoch": ' + b"1" * 5000 + b"}",
        b"[" * 970 + b"]" * 970,
        b"[" * 100_000,
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b"\xff\xfe",
        b"\x00" * 1000,
    ],
)
def test_hostile_text_damages_the_item_that_it_stands_in(world, text):
    store, *studies = world
    run = studies[0].runs()[0]
    for path in (*(run.path / name for name in OF_A_RUN), studies[0].path / "label.json"):
        whole = path.read_bytes() if path.exists() else None
        path.write_bytes(text + b"\n")
        look(store.root, *studies)
        path.unlink() if whole is None else path.write_bytes(whole)
    study = studies[0].path / "study.json"
    study.write_bytes(text)
    look(store.root, *studies)


def test_foreign_names_hide_nothing(world):
    store, *studies = world
    for folder in (store.root, studies[0].path):
        os.mkdir(os.fsencode(folder) + b"/\xff\xfe-odd")
        (folder / "loop").symlink_to(folder)
        (folder / "a\nline").mkdir()
        (folder / ("x" * 250)).mkdir()
        os.mkfifo(folder / "pipe")
    for name in ("arm99-pair01", "arm1-pair999999", "arm0-pair0", "arm-pair", "arm1-pair٣"):
        shutil.copytree(studies[0].runs()[0].path, studies[0].path / name)
    assert len(look(store.root, *studies)) == 2
    with pytest.raises(StoreError):
        store.run(f"{studies[0].id}/arm99-pair01")


@pytest.mark.parametrize("name", [name for name in RESULT_FILES if "json" in name])
def test_a_file_of_another_run_is_noticed(world, name):
    store, *studies = world
    one, other = (run.path / name for run in studies[0].runs())
    aside = store.root / ".aside"
    shutil.move(one, aside)
    shutil.move(other, one)
    shutil.move(aside, other)
    sound = look(store.root, *studies)
    assert sound == []


def test_without_its_environment_a_run_is_damaged_and_not_comparable(world):
    store, *studies = world
    run = studies[0].runs()[0]
    (run.path / "environment.json").unlink()
    assert run.state is RunState.DAMAGED
    assert "environment.json is damaged: it is missing" in run.sentence
    assert len(look(store.root, *studies)) == 1


def test_a_queued_run_without_its_recipe_is_asked_again_what_its_study_says(world):
    *_, queued = world
    (run,) = queued.runs()
    before = run.recipe_record
    (run.path / "recipe.json").unlink()
    (again,) = RunStore(queued.path.parent).study(queued.id).runs()
    assert again.state is RunState.QUEUED
    for name in ("recipe", "arm", "pair", "seeds", "threads", "versions"):
        assert again.recipe_record[name] == before[name]
    with again.hold():
        fake_run.train(ClaimedRun(again))
    fake_run.assert_finished(again)


def test_a_run_that_was_stopped_before_it_began_has_what_its_study_asked(world):
    *_, queued = world
    (run,) = queued.runs()
    (run.path / "recipe.json").unlink()
    request_stop(RunStore(queued.path.parent).study(queued.id).runs()[0])
    (again,) = RunStore(queued.path.parent).study(queued.id).runs()
    assert again.state is RunState.STOPPED
    enqueue(again)
    assert again.state is RunState.QUEUED


def test_a_history_that_is_cut_while_its_summary_is_in_memory_is_damaged(world, monkeypatch):
    monkeypatch.setattr("tl_engine.storage.memory.SETTLED_NANOSECONDS", 0)
    _, *studies = world
    run = studies[0].runs()[0]
    assert summarise(run).state is RunState.FINISHED
    path = run.path / "history.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    with open(path, "r+b") as file:  # in place: the folder does not change
        file.truncate(len(lines[0]) + len(lines[1]))
    assert summarise(run).state is RunState.DAMAGED
    sound, damaged = split_sound(studies[0].runs())
    assert [one.path.name for one in sound] == ["arm2-pair01"]
    assert "history.jsonl" in damaged[0][1]
    with pytest.raises(StoreError):
        joined_history([run])


def test_a_lock_of_another_account_damages_its_own_run(world, monkeypatch):
    store, *studies = world
    lock = studies[0].runs()[0].path / "lock"
    really = os.open

    def refuse(path, *rest, **options):
        if os.fspath(path) == os.fspath(lock):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *rest, **options)

    monkeypatch.setattr(os, "open", refuse)
    assert [run.path.name for run in look(store.root, *studies)] == ["arm2-pair01"]
    run = studies[0].runs()[0]
    assert run.state is RunState.DAMAGED
    assert run.sentence.endswith("give this account the right to, or use the one that made it.")
    assert "is damaged" not in run.sentence
    with pytest.raises(ThawError):
        FlockLease(lock).take()


def test_a_folder_that_may_not_be_read_is_one_damaged_run(world, monkeypatch):
    store, *studies = world
    closed = studies[0].runs()[0].path
    really = os.scandir

    def refuse(path="."):
        if os.fspath(path) == os.fspath(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return really(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert [run.path.name for run in look(store.root, *studies)] == ["arm2-pair01"]
    assert isinstance(Run(closed, studies[0]).sentence, str)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(recipe=recipes)
def test_every_recipe_is_read_as_it_was_asked(store, recipe):
    folder = store.create(Study("Any", name_arms([recipe])))
    (run,) = RunStore(store.root).study(folder.id).runs()
    assert run.recipe == recipe
    claimed = ClaimedRun(run)
    phase, trains = 0, recipe.phases[0]
    with run.hold():
        claimed.begin()
        claimed.append_epoch(epoch_line(1, phase, trains, MEASURED))
    assert run.epochs()[0]["trainable"] == trains.trainable_label
