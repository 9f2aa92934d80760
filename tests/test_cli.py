"""The command line: the whole job without a browser, exit codes that mean something."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.conftest import tiny_recipe
from tests.helpers import command
from tl_engine.cli import main, study_from
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
    ],
)
def test_what_is_refused_is_one_sentence_and_exit_code_2(capsys, store, arguments, sentence):
    code, said, error = out(capsys, *arguments, "--runs-dir", store.root)
    assert code == 2
    assert said == ""
    assert sentence in error
    assert "Traceback" not in error
    assert list(store.studies()) == []


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


def test_a_preset_s_grid_is_launched_whole():
    options = SimpleNamespace(
        preset="order-or-head-input", set=[], phase=[], reverse=False, pairs=None, title=None
    )
    study = study_from(options)
    assert (len(study.arms), study.pairs) == (18, 10)
    options.set = ["head_input=logits"]
    assert len(study_from(options).arms) == 6
