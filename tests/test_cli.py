"""The command line: the whole job without a browser, exit codes that mean something."""

import io
import json
import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests import fake_run
from tests.conftest import PROJECT, tiny_recipe, tiny_study
from tests.helpers import command
from tests.test_uploads import many_passes
from tl_engine.cli import main, study_from
from tl_engine.errors import StoreError
from tl_engine.runs import ClaimedRun, RunState
from tl_engine.runs.evidence import of_store
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.study import Arm, Study

TINY = ["--set", "backbone=tiny", "--set", "pretrained=false", "--set", "image_size=16"]
TINY += ["--set", "train_images=100"]


def out(capsys, *arguments):
    """Exit code, standard output, standard error of a command in this process."""
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.mark.long
def test_the_whole_job_without_a_browser(tmp_path):
    runs = ["--runs-dir", str(tmp_path / "runs")]
    phases = ["--phase", "all:1:1e-3", "--phase", "head:1:1e-2:sgd", "--reverse"]
    done = command("run", *TINY, *phases, "--title", "Which?", "--json", *runs)
    assert done.returncode == 0, done.stderr
    assert "epoch 2/2" in done.stderr
    result = json.loads(done.stdout)
    assert [run["order"] for run in result["runs"]] == ["all > head", "head > all"]
    assert {run["state"] for run in result["runs"]} == {"finished"}

    run = result["runs"][0]["run"]
    picture = tmp_path / "boot.png"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(picture)
    done = command("classify", run, str(picture), "--json", *runs)
    assert done.returncode == 0, done.stderr
    (answer,) = json.loads(done.stdout)
    assert len(answer["top"]) == 5
    assert answer["top"][0]["probability"] >= answer["top"][1]["probability"]
    done = command("export", run, *runs)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("model.h5")
    assert done.stderr == ""


def test_an_empty_store_says_how_to_start(capsys, store):
    code, said, _ = out(capsys, "list", "--runs-dir", store.root)
    assert code == 0
    assert "run --preset try-it" in said


def test_runs_are_listed_shown_and_compared(capsys, finished):
    where = ["--runs-dir", finished.path.parent]
    code, said, _ = out(capsys, "list", *where)
    assert code == 0
    assert said.count("finished") == 2
    run = finished.runs()[0].id
    code, said, _ = out(capsys, "show", run, *where)
    assert code == 0
    assert "224 frozen parameters, 0 changed" in said
    code, said, _ = out(capsys, "show", run, "--json", *where)
    assert json.loads(said)["scores"]["splits"]["validation"]["total"] == 1000
    code, said, _ = out(capsys, "compare", finished.id, *where)
    assert code == 0
    assert "phase 1" in said
    code, said, _ = out(capsys, "compare", finished.id, "--json", *where)
    assert {row["arm"] for row in json.loads(said)["arms"]} == {"Fine-tune first", "Freeze first"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--preset", "magic"], "There is no preset 'magic'"),
        (["run", "--set", "train_images=9999"], "5,000 training images, got 9,999"),
        (["run", "--set", "colour=blue"], "A setting reads NAME=VALUE"),
        (["run", "--set", "image_size=big"], "got 'big'"),
        (["run", "--phase", "all"], "A phase reads TRAINABLE:EPOCHS:LEARNING_RATE"),
        (["run", "--phase", "all:0:1e-3"], "got 0"),
        (["run", "--phase", "all:1:-1"], "above 0"),
        (["run", "--phase", "all:1:1e-3:lion"], "got 'lion'"),
        (["run", "--pairs", "1000"], "1 to 100 paired seeds"),
        (["show", "gone/arm1-pair01"], "There is no study 'gone'"),
        (["show", "../secrets"], "There is no study '..'"),
        (["compare", "gone"], "There is no study"),
        (["classify", "gone/arm1-pair01", "x.png"], "There is no study"),
        (["stop", "gone"], "There is no study"),
        (["resume", "gone/arm1-pair01"], "There is no study"),
        (["measure", "{}"], "list of phases"),
        (["measure", "[" * 50_000], "A recipe is a JSON object"),
        (["measure", "[]"], "A recipe is a JSON object"),
        (["run", "--pairs", "0"], "1 to 100 paired seeds, got 0"),
        (["run", "--title", ""], "title: A name has 1 to 200 characters, got ''"),
        (["run", "--set", "train_images=abc"], "train_images: This setting is a whole number"),
        (["run", "--set", "train_images=" + "9" * 5000], 'or "all", got'),
        (["run", "--set", "pretrained=maybe"], "pretrained: This setting is true or false, got"),
        (["run", "--phase", f"all:{'9' * 5000}:1e-3"], "A phase reads"),
        (["show", "gone"], "it holds none yet"),
        (["resume", "gone"], "There is no study"),
        (["rename", "gone", "x"], "There is no study"),
        (["note", "gone", "x"], "There is no study"),
        (["delete", "gone"], "There is no study"),
        (["delete", "gone/arm1-pair01"], "A study is deleted with all its runs"),
        (["clone", "gone"], "There is no study"),
        (["explain", "gone"], "There is no study"),
        (["open-test", "gone"], "There is no study"),
    ],
)
def test_what_is_refused_is_one_sentence_and_exit_code_2(capsys, store, arguments, sentence):
    code, said, error = out(capsys, *arguments, "--runs-dir", store.root)
    assert code == 2
    assert said == ""
    assert sentence in error
    assert "Traceback" not in error
    assert list(store.studies()) == []


def test_one_bad_picture_costs_no_other_its_answer_and_nothing_hangs(capsys, finished, tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "secret.png").touch(mode=0)
    (tmp_path / "large.png").write_bytes(b"x")
    os.truncate(tmp_path / "large.png", 26 * 2**20)
    (tmp_path / "scans.jpg").write_bytes(many_passes())
    good = tmp_path / "good.png"
    Image.fromarray(np.full((40, 60, 3), 200, np.uint8)).save(good)
    bad = [tmp_path / "pipe.png", tmp_path / "large.png", tmp_path / "scans.jpg", tmp_path]
    bad += ["/dev/zero", tmp_path / "gone.png", "a" * 5000, "b\0c", tmp_path / "\udcff.png"]
    run, began = finished.runs()[0].id, time.monotonic()
    words = ["classify", run, *bad, good, "--json", "--runs-dir", finished.path.parent]
    code, said, error = out(capsys, *words)
    assert code == 2
    assert time.monotonic() - began < 60
    answers = json.loads(said)
    assert len(answers) == len(bad) + 1
    assert [("top" in answer) for answer in answers] == [False] * len(bad) + [True]
    assert len(error.strip().splitlines()) == len(bad)


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_a_file_that_is_no_picture_is_refused(capsys, finished, tmp_path, content):
    file = tmp_path / "notes.png"
    if content:
        file.write_bytes(content)
    run = finished.runs()[0].id
    code, _, error = out(capsys, "classify", run, file, "--runs-dir", finished.path.parent)
    assert code == 2
    assert "cannot be read" in error or "no picture" in error


def test_a_run_that_did_not_finish_is_exit_code_1(tmp_path):
    runs = ["--runs-dir", str(tmp_path / "runs")]
    done = command("run", *TINY, "--phase", "all:2:1e-3", "--detach", "--json", *runs)
    assert done.returncode == 0
    study = json.loads(done.stdout)["study"]
    assert command("stop", study, *runs).returncode == 0
    shown = command("list", "--json", *runs)
    assert [run["state"] in ("stopped", "running") for run in json.loads(shown.stdout)] == [True]


def test_a_name_says_nothing_to_the_terminal(store, capsys):
    arms = (Arm("red \x1b[31m", tiny_recipe()),)
    store.create(Study("clear \x1b[2J", arms))
    assert main(["list", "--runs-dir", str(store.root)]) == 0
    said = capsys.readouterr().out
    assert "red" in said
    assert "\x1b" not in said


def test_whole_numbers_of_5000_digits_are_refused_by_every_option(capsys, store):
    for words in (["run", "--pairs"], ["kill-test", "--kills"], ["kill-test", "--seed"]):
        with pytest.raises(SystemExit) as ended:
            main([*words, "9" * 5000, "--runs-dir", str(store.root)])
        assert ended.value.code == 2
        assert len(capsys.readouterr().err) < 2000


ONE_ID = ("show", "export", "open-test", "resume", "clone", "delete", "classify", "rename", "note")
SEVERAL_IDS = ("compare", "explain", "robustness", "stop")
MORE = {"classify": ["x.png"], "rename": ["x"], "note": ["x"]}


@pytest.mark.parametrize("name", [*ONE_ID, *SEVERAL_IDS])
def test_whatever_stands_for_an_id_is_one_sentence_and_exit_code_2(capsys, store, tmp_path, name):
    os.mkfifo(store.root / "pipe")
    study = store.create(tiny_study())
    (study.path / "arm9-pair99").touch()
    odd = ["", "x" * 100_000, "\udcff\udc80", "\ud800", "..", "../runs", str(tmp_path), "/dev/zero"]
    odd += ["pipe", "a\0b", f"{study.id}/", f"{study.id}/..", f"{study.id}/arm9-pair99", ".cache"]
    odd += [f"{study.id}/{'y' * 100_000}", f"{study.id}/arm1-pair{'1' * 10_000}", "\u202e"]
    for wanted in odd:
        began = time.monotonic()
        code, said, error = out(capsys, name, wanted, *MORE.get(name, []), "--runs-dir", store.root)
        assert time.monotonic() - began < 5
        assert (code, said) == (2, ""), wanted[:80]
        assert len(error.strip().splitlines()) == 1
        assert len(error) < 600
    assert study.id in out(capsys, name, "gone", *MORE.get(name, []), "--runs-dir", store.root)[2]


@pytest.mark.parametrize("odd", ["", "a\0b", "x" * 5000, "/dev/null", "/proc/nowhere"])
def test_a_folder_of_studies_that_cannot_be_one_is_refused(capsys, odd):
    if odd:
        code, _, error = out(capsys, "list", "--runs-dir", odd)
        assert code == 2
        assert "--runs-dir is a folder of studies" in error


@pytest.mark.parametrize("words", [["list"], ["list", "--json"], ["show"], ["compare"], ["--help"]])
def test_whoever_stops_reading_sees_no_traceback(finished, words):
    words = [*words, *([finished.id] if words[0] in ("show", "compare") else [])]
    where = [] if "--help" in words else ["--runs-dir", str(finished.path.parent)]
    command = [sys.executable, "-m", "tl_engine", *words, *where]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command, cwd=PROJECT, **pipes) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141 or "--help" in words  # whose printing argparse does


def test_a_study_is_shown_with_its_question_its_runs_and_its_verdict(capsys, finished):
    where = ["--runs-dir", finished.path.parent]
    code, said, _ = out(capsys, "show", finished.id, *where)
    assert code == 0
    for part in ("Which order?", "smallest difference that matters", "Freeze first", "Verdicts"):
        assert part in said
    code, said, _ = out(capsys, "show", finished.id, "--json", *where)
    shown = json.loads(said)
    assert (len(shown["runs"]), shown["damaged"]) == (2, [])
    assert shown["verdicts"][0]["verdict"]


def test_one_run_has_the_same_times_everywhere(capsys, finished):
    where = ["--json", "--runs-dir", finished.path.parent]
    run = finished.runs()[0]
    listed = {row["run"]: row for row in json.loads(out(capsys, "list", *where)[1])}[run.id]
    shown = json.loads(out(capsys, "show", run.id, *where)[1])
    compared = json.loads(out(capsys, "compare", finished.id, *where)[1])["runs"]
    (row,) = [row for row in compared if row["run"] == run.id]
    for name in ("training_seconds", "cold_seconds"):
        assert listed[name] == shown[name] == pytest.approx(row[name])
    assert listed["training_seconds"] == sum(epoch["seconds"] for epoch in run.epochs())
    assert listed["total_seconds"] >= listed["training_seconds"]


def test_stopping_nothing_is_refused(capsys, finished):
    code, _, error = out(capsys, "stop", finished.id, "--runs-dir", finished.path.parent)
    assert code == 2
    assert "Nothing to stop: 2 runs are finished already." in error


def test_resuming_a_study_without_resumable_runs_is_refused(capsys, finished):
    code, _, error = out(capsys, "resume", finished.id, "--runs-dir", finished.path.parent)
    assert code == 2
    assert "has no run to resume" in error


def test_a_study_is_resumed_with_all_its_runs_that_can_be(capsys, store, monkeypatch, launches):
    study = store.create(fake_run.study(pairs=2))
    first, second = study.runs()
    with second.hold():
        fake_run.train(ClaimedRun(second))
    request_stop(first)

    def drain(store):
        if first.state is RunState.QUEUED:
            with first.hold():
                fake_run.train(ClaimedRun(first))

    monkeypatch.setattr(launches, "ensure_worker", drain)
    code, said, _ = out(capsys, "resume", study.id, "--json", "--runs-dir", store.root)
    assert code == 0
    assert [row["run"] for row in json.loads(said)["runs"]] == [first.id]


def test_a_run_that_cannot_be_resumed_is_named_and_the_others_go_on(
    capsys, store, monkeypatch, launches
):
    study = store.create(fake_run.study(pairs=2))
    first, second = study.runs()
    for run in (first, second):
        request_stop(run)

    def refuse_first(run):
        if run.id == first.id:
            raise StoreError("It is closed.")
        enqueue(run)

    def drain(store):
        if second.state is RunState.QUEUED:
            with second.hold():
                fake_run.train(ClaimedRun(second))

    monkeypatch.setattr("tl_engine.execution.launcher.enqueue", refuse_first)
    monkeypatch.setattr(launches, "ensure_worker", drain)
    code, said, error = out(capsys, "resume", study.id, "--json", "--runs-dir", store.root)
    assert code == 1
    assert [row["run"] for row in json.loads(said)["runs"]] == [second.id]
    assert "It is closed." in error


def test_a_reverse_that_adds_no_arm_is_refused(capsys, store):
    words = ["run", "--phase", "head:1:1e-3", "--reverse", "--detach", "--runs-dir", store.root]
    code, said, error = out(capsys, *words)
    assert (code, said) == (2, "")
    assert "--reverse adds no arm" in error


def test_a_damaged_ledger_of_deleted_studies_is_named(capsys, store):
    (store.root / "evidence.jsonl").write_text("no line of ours\n")
    study = store.create(tiny_study(pairs=4))
    where = ["--runs-dir", store.root]
    assert "evidence.jsonl is damaged" in out(capsys, "list", *where)[2]
    assert (
        "evidence.jsonl is damaged): all pairs count as"
        in out(capsys, "compare", study.id, *where)[1]
    )


def test_people_rename_and_note(capsys, store):
    study = store.create(tiny_study())
    where = ["--runs-dir", store.root]
    assert out(capsys, "rename", study.id, "Better?", *where)[0] == 0
    assert out(capsys, "note", study.id, "It was.", *where)[0] == 0
    assert (store.study(study.id).title, store.study(study.id).note) == ("Better?", "It was.")
    for words in (["rename", study.id, ""], ["note", study.id, "\udcff"]):
        assert out(capsys, *words, *where)[0] == 2
    assert store.study(study.id).title == "Better?"


def test_deleting_asks_first(capsys, store, monkeypatch):
    study = store.create(tiny_study())
    where = ["--runs-dir", store.root]
    code, _, error = out(capsys, "delete", study.id, *where)
    assert code == 2
    assert "add --yes" in error
    for answer, code in (("n\n", 2), ("", 2), ("yes\n", 0)):
        assert study.path.exists()
        monkeypatch.setattr("sys.stdin", Terminal(answer))
        assert out(capsys, "delete", study.id, *where)[0] == code
    assert not study.path.exists()


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self):
        return True


def test_what_runs_is_not_deleted_and_nobody_is_asked(capsys, store):
    study = store.create(tiny_study())
    with study.runs()[0].hold():
        code, _, error = out(capsys, "delete", study.id, "--yes", "--runs-dir", store.root)
    assert code == 2
    assert "is running: stop it first" in error
    assert study.path.exists()


def test_opening_the_test_split_asks_first(capsys, store):
    study = store.create(tiny_study())
    code, _, error = out(capsys, "open-test", study.id, "--runs-dir", store.root)
    assert code == 2
    assert "counted for ever" in error
    assert "add --yes" in error
    assert of_store(study.path.parent).test_accesses(study) == []


def test_a_study_is_cloned_with_changes(capsys, store, launches):
    study = store.create(tiny_study())
    words = ["clone", study.id, "--pairs", "3", "--title", "Again", "--detach", "--json"]
    code, said, _ = out(capsys, *words, "--runs-dir", store.root)
    assert code == 0
    again = store.study(json.loads(said)["study"]).study
    assert (again.title, again.pairs, again.arms) == ("Again", 3, study.study.arms)
    assert launches.started == [("worker",)]
    for words in (["--pairs", "0"], ["--title", ""]):
        assert out(capsys, "clone", study.id, *words, "--runs-dir", store.root)[0] == 2


def test_what_phases_did_is_explained(capsys, finished):
    where = ["--runs-dir", finished.path.parent]
    code, said, _ = out(capsys, "explain", finished.id, *where)
    assert code == 0
    assert "they never change the verdict" in said
    assert "head moved" in said
    code, said, _ = out(capsys, "explain", finished.id, "--json", *where)
    assert {row["run"] for row in json.loads(said)["phases"]} == {r.id for r in finished.runs()}


def test_only_finished_runs_are_exported_or_classify(capsys, store):
    run = store.create(tiny_study()).runs()[0]
    request_stop(run)
    for words in (["export", run.id], ["classify", run.id, "x.png"]):
        code, _, error = out(capsys, *words, "--runs-dir", store.root)
        assert code == 2
        assert "it is stopped, not finished" in error


def test_a_preset_s_grid_is_launched_whole():
    options = SimpleNamespace(
        preset="order-or-head-input", set=[], phase=[], reverse=False, pairs=None, title=None
    )
    study = study_from(options)
    assert (len(study.arms), study.pairs) == (18, 10)
    options.set = ["head_input=logits"]
    assert len(study_from(options).arms) == 6
