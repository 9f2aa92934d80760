"""Files that change by themselves: shown as damaged, never as another number, never in the way.

Every kind of file is corrupted in many ways, one at a time. THAW_ATTACKS=40 makes 20,000 of them.
"""

import json
import random
import shutil

import pytest

from tests import fake_run
from tests.attacks import SEED, TIMES
from tests.test_pages import assert_whole, no_real_processes, visit, words  # noqa: F401
from tl_engine.cli import main
from tl_engine.errors import ThawError
from tl_engine.runs import ClaimedRun, RunState, RunStore, joined_history, summarise
from tl_engine.runs.run_outputs import log_tail, model_arrays, probabilities
from tl_engine.runs.run_requests import enqueue

REFUSED = "refused with a sentence"
FOLDER = object()
PER_KIND = 32 * TIMES
OF_A_STUDY = ["study.json", "label.json"]
OF_A_RUN = [
    *("recipe.json", "history.jsonl", "checkpoint.json", "outcome.json", "environment.json"),
    *("attempts.jsonl", "scores.json", "model-0001-000000.npz", "free-0002-000000.npz"),
    *("probabilities.npz", "model.keras", "pulse", "lock", "log.txt"),
]


def flipped(data, dice):
    place = dice.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << dice.randrange(8)]) + data[place + 1 :]


def cut(data, dice):
    return data[: dice.randrange(len(data))]


def with_a_line_twice(data, dice):
    lines = data.splitlines(keepends=True)
    return b"".join([*lines, dice.choice(lines)])


def with_another_name_for_the_checksum(data, dice):
    return data.replace(b'"seal"', b'"sea|"')


CORRUPTED = [
    with_another_name_for_the_checksum,
    *[flipped] * 8,
    *[cut] * 8,
    *[lambda data, dice: dice.randbytes(len(data))] * 2,
    lambda data, dice: cut(data, dice) + dice.randbytes(40),
    with_a_line_twice,
    lambda data, dice: bytes(len(data)),
    lambda data, dice: b"",
    lambda data, dice: None,
    lambda data, dice: FOLDER,
]


def put(path, data):
    """Make the file what it is to be: bytes, nothing, or a folder."""
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    if data is FOLDER:
        path.mkdir()
    elif data is not None:
        path.write_bytes(data)


def corruptions(path):
    """Corrupt the file in one way after the other; whole again after each."""
    whole, dice = path.read_bytes(), random.Random(f"{SEED} {path.name}")
    for number in range(PER_KIND):
        corrupted = CORRUPTED[number % len(CORRUPTED)](whole or b"{}", dice)
        if corrupted == whole:
            continue
        put(path, corrupted)
        try:
            yield corrupted
        except BaseException:
            print(f"seed {SEED}, number {number}, {path.name}: {corrupted!r:.200}")
            raise
        finally:
            put(path, whole)


@pytest.fixture(scope="module")
def world(finished, tmp_path_factory):
    """A store with three studies, the first of which is corrupted."""
    root = tmp_path_factory.mktemp("corruption") / "runs"
    root.mkdir()
    for name in ("20260101-000000-aaaa", "20260101-000001-aaab"):
        shutil.copytree(finished.path, root / name)
    store = RunStore(root)
    store.studies()[-1].label(title="What people call it", note="A note")
    store.add_measurement({"backbone": "tiny"})
    half = ClaimedRun(store.create(fake_run.study()).runs()[0])
    fake_run.train(half, last=2)
    return store


def asked(question):
    """The answer, or that it was refused; anything else that is raised is a bug."""
    try:
        return question()
    except ThawError as refusal:
        assert str(refusal).endswith(".")
        return REFUSED


def view(run):
    """Everything that one can ask a run."""
    observed = run.observe()
    return {
        "state": observed.state,
        "epochs": asked(run.epochs),
        "best": asked(lambda: summarise(run).best),
        "history": asked(lambda: run.history().to_dict("records")),
        "joined": asked(lambda: joined_history([run]).to_dict("records")),
        "outcome": asked(lambda: run.outcome),
        "scores": asked(lambda: run.scores),
        "recipe": asked(lambda: run.recipe),
        "environments": asked(lambda: run.environments),
        "probabilities": asked(lambda: in_bytes(probabilities(run))),
        "model": asked(lambda: in_bytes(model_arrays(run))),
        "title": run.study.title,
        "asked": asked(lambda: run.study.study),
    }


def in_bytes(arrays):
    return {name: array.tobytes() for name, array in arrays.items()}


def names_under(root):
    return sorted(str(path.relative_to(root)) for path in root.rglob("*"))


def listed(store, capsys):
    """What the command line lists, by run."""
    assert main(["list", "--json", "--runs-dir", str(store.root)]) == 0
    return {row["run"]: row for row in json.loads(capsys.readouterr().out)}


def assert_true_or_damaged(shown, whole, is_deleted):
    """Nothing that is shown is another number."""
    for name, value in shown.items():
        if value in (REFUSED, whole[name]) or name == "state":
            continue
        # A part of the truth is no lie where the run says that something is missing.
        assert shown["state"] is RunState.DAMAGED or is_deleted, name
        if isinstance(value, list):
            assert value == whole[name][: len(value)], name
        else:
            assert not value or name == "best", name
    assert shown["state"] in (whole["state"], RunState.DAMAGED) or is_deleted


@pytest.mark.parametrize("kind", OF_A_RUN)
def test_a_corrupted_file_of_a_run_is_never_another_number_and_harms_no_other(world, capsys, kind):
    victim, neighbour = world.studies()[-1].runs()
    whole, rows, names = view(victim), listed(world, capsys), names_under(world.root)
    noticed = 0
    for corrupted in corruptions(victim.path / kind):
        run = world.run(victim.id)
        shown = view(run)
        assert_true_or_damaged(shown, whole, corrupted is None)
        noticed += shown != whole
        now = listed(world, capsys)
        assert {**now, victim.id: None} == {**rows, victim.id: None}
        assert main(["show", victim.id, "--runs-dir", str(world.root)]) in (0, 2)
        capsys.readouterr()
        assert log_tail(run) is not None
        assert all(attempt in victim.attempts() for attempt in run.attempts())
        assert set(names) - set(names_under(world.root)) <= {f"{victim.id}/{kind}"}
    assert view(world.run(victim.id)) == whole
    assert view(neighbour) == view(world.run(neighbour.id))
    quiet = kind in ("model.keras", "pulse", "lock", "log.txt", "attempts.jsonl")
    assert quiet or noticed


@pytest.mark.parametrize("kind", OF_A_STUDY)
def test_a_corrupted_file_of_a_study_loses_no_run(world, capsys, kind):
    folder = world.studies()[-1]
    whole, rows = [view(run) for run in folder.runs()], listed(world, capsys)
    for corrupted in corruptions(folder.path / kind):
        again = world.study(folder.id)
        assert again.is_readable
        assert again.damage or (corrupted is None and kind == "label.json")
        for shown, was in zip(map(view, again.runs()), whole, strict=True):
            title = shown.pop("title")
            assert title == was["title"] or (kind == "label.json" and title == "Which order?")
            assert shown == {name: value for name, value in was.items() if name != "title"}
        now = listed(world, capsys)
        assert without_titles(now) == without_titles(rows)


def without_titles(rows):
    return {run: {**row, "study": None} for run, row in rows.items()}


def test_corrupted_measurements_are_only_missed(world):
    known = world.measurements()
    for _ in corruptions(world.root / "measurements.jsonl"):
        assert all(measurement in known for measurement in world.measurements())
    assert world.measurements() == known


@pytest.mark.parametrize(
    "kind",
    ["checkpoint.json", "history.jsonl", "model-0002-000000.npz", "optimizer-0002-000000.npz"],
)
@pytest.mark.parametrize("corrupt", [flipped, lambda data, dice: FOLDER, lambda data, dice: None])
def test_a_damaged_run_begins_again_and_keeps_what_is_damaged(store, kind, corrupt):
    run = ClaimedRun(store.create(fake_run.study()).runs()[0])
    fake_run.train(run, last=2)
    path = run.path / kind
    corrupted = corrupt(path.read_bytes(), random.Random(SEED))
    put(path, corrupted)
    if run.state is not RunState.DAMAGED:  # arrays are met by the process that needs them
        with pytest.raises(ThawError, match="is damaged"):
            fake_run.train(run)
        run.end(RunState.DAMAGED, "It is damaged.", 1.0)
    assert run.state is RunState.DAMAGED
    enqueue(run)
    assert run.state is RunState.QUEUED
    kept = {path.name.partition("-")[2] for path in (run.path / "quarantine").iterdir()}
    assert kept >= {"attempts.jsonl", "environment.json"}
    assert kind in kept or corrupted is None
    fake_run.train(run)
    fake_run.assert_finished(run)


def test_a_run_whose_recipe_is_damaged_cannot_begin_again(store):
    run = store.create(fake_run.study()).runs()[0]
    path = run.path / "recipe.json"
    put(path, flipped(path.read_bytes(), random.Random(SEED)))
    run = store.run(run.id)
    with pytest.raises(ThawError, match="recipe"):
        enqueue(run)


def test_the_overview_opens_on_a_damaged_store(world, tmp_path, monkeypatch):
    root = shutil.copytree(world.root, tmp_path / "runs")
    dice = random.Random(SEED)
    for number, path in enumerate(sorted(p for p in root.rglob("*") if p.is_file())):
        if path.stat().st_size and "aaab" not in str(path):
            put(path, CORRUPTED[number % len(CORRUPTED)](path.read_bytes(), dice))
    app = visit("app.py", RunStore(root), monkeypatch)
    assert_whole(app)
    assert "is damaged" in words(app)
    shown = app.dataframe[0].value.to_string()
    assert shown.count("finished") >= 2
