"""The command line beside damaged files: the damage is named, left out, and hides nothing."""

import itertools
import json

import pytest

from tests.attacks import TIMES
from tests.test_cli import out
from tests.test_corruption import corruptions, world  # noqa: F401
from tl_engine.cli import comparing
from tl_engine.runs import RunState
from tl_engine.storage.memory import FolderCache

KINDS = ("recipe.json", "history.jsonl", "checkpoint.json", "outcome.json", "scores.json", "pulse")
STEP = 4 if TIMES == 1 else 1
"""Every fourth way of corruption a file, all with THAW_ATTACKS."""


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    """Every command reads anew, as the process that it is outside of tests does."""

    def get(self, folder, read, lasts=None):
        folder.stat()
        return read()

    monkeypatch.setattr(FolderCache, "get", get)


def compared(world, capsys, *more):  # noqa: F811
    """What `compare` says of the study that is corrupted, by run; its exit code and its errors.

    The store has a copy of it: compared with its copy, the copy's runs would stand in."""
    ids = [world.studies()[-1].id]
    words = ["compare", *ids, *more, "--json", "--runs-dir", world.root]
    code, said, error = out(capsys, *words)
    return code, json.loads(said) if said else {}, error


def of_runs(said):
    return {row["run"]: row for row in said["runs"]}


@pytest.mark.parametrize("kind", [*KINDS, "../study.json", "../label.json"])
def test_compare_leaves_damaged_runs_out_and_names_them(world, capsys, kind):  # noqa: F811
    victim = world.studies()[-1].runs()[0]
    code, whole, _ = compared(world, capsys)
    assert (code, whole["damaged"]) == (0, [])
    left_out = 0
    for _ in itertools.islice(corruptions(victim.path / kind), 0, None, STEP):
        code, said, error = compared(world, capsys)
        named = [one["id"] for one in said["damaged"]]
        assert named in ([], [victim.id])
        assert code == len(named)
        assert error.count("is left out") == len(named)
        expected = of_runs(whole)
        for gone in named:
            del expected[gone]
        assert of_runs(said) == expected
        left_out += len(named)
        assert out(capsys, "show", victim.study.id, "--runs-dir", world.root)[0] in (0, 2)
    assert left_out or kind in ("pulse", "../study.json", "../label.json")
    code, said, _ = compared(world, capsys)
    assert said == whole


def test_a_damaged_run_is_listed_as_damaged_and_shown_as_a_sentence(world, capsys):  # noqa: F811
    victim = world.studies()[-1].runs()[0]
    history = victim.path / "history.jsonl"
    whole = history.read_bytes()
    try:
        history.write_bytes(whole[: len(whole) // 2])
        where = ["--runs-dir", world.root]
        _, said, _ = out(capsys, "list", *where)
        (line,) = [line for line in said.splitlines() if line.startswith(victim.id)]
        assert RunState.DAMAGED.value in line
        code, said, error = out(capsys, "show", victim.id, *where)
        assert (code, said) == (2, "")
        assert f"Run {victim.id} is damaged. " in error
        assert "resume" in error
        code, said, error = out(capsys, "compare", victim.id, *where)
        assert (code, said) == (2, "")
        assert "Nothing that is sound is left to compare." in error
    finally:
        history.write_bytes(whole)


def test_a_study_that_cannot_be_read_is_named_and_the_others_are_compared(
    world,  # noqa: F811
    capsys,
):
    broken = world.root / "20260101-000002-aaac"
    broken.mkdir()
    (broken / "study.json").write_text("no study")
    try:
        code, said, error = compared(world, capsys, broken.name)
    finally:
        (broken / "study.json").unlink()
        broken.rmdir()
    assert code == 1
    assert [one["id"] for one in said["damaged"]] == [broken.name]
    assert len(said["runs"]) == 2
    assert f"{broken.name} is left out" in error


def test_what_is_damaged_while_it_is_compared_is_left_out_and_named(world, capsys, monkeypatch):  # noqa: F811
    victim = world.studies()[-1].runs()[0]
    scores = victim.path / "scores.json"
    whole, split = scores.read_bytes(), comparing.split_sound

    def split_and_damage(runs):
        found = split(runs)
        scores.write_bytes(b"{}")
        return found

    monkeypatch.setattr(comparing, "split_sound", split_and_damage)
    try:
        code, said, error = compared(world, capsys)
    finally:
        scores.write_bytes(whole)
    assert code == 1
    assert [one["id"] for one in said["damaged"]] == [victim.id]
    assert error.count("is left out") == 1
