"""Launchers: one is configured, everybody who starts or ends a process asks that one."""

import os
import subprocess
import sys

import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.conftest import PROJECT, tiny_study
from tests.launches import RecordingLauncher
from tests.test_cli import out
from tests.test_evaluation_parts import parts
from tests.test_pages import assert_whole, finish
from tl_engine import launch, resume
from tl_engine.errors import CatalogError
from tl_engine.execution.launcher import LAUNCHERS, launcher
from tl_engine.execution.local import LocalLauncher
from tl_engine.runs import RunState
from tl_engine.runs.run_requests import request_stop
from tl_engine.storage import atomic
from tl_engine.storage.lease import is_held

PRODUCT = [PROJECT / "app.py"]
PRODUCT += [
    path
    for part in ("pages", "ui", "tl_engine", "bench")
    for path in (PROJECT / part).rglob("*.py")
]


def test_processes_are_started_on_this_machine_unless_the_environment_says_otherwise(monkeypatch):
    monkeypatch.delenv("THAW_LAUNCHER", raising=False)
    assert isinstance(launcher(), LocalLauncher)
    monkeypatch.setenv("THAW_LAUNCHER", "")
    assert isinstance(launcher(), LocalLauncher)
    other = RecordingLauncher()
    monkeypatch.setitem(LAUNCHERS, "other", other)
    monkeypatch.setenv("THAW_LAUNCHER", "other")
    assert launcher() is other


def test_an_unknown_launcher_is_refused_with_those_there_are_and_nothing_is_queued(
    store, monkeypatch
):
    (run,) = store.create(tiny_study(both=False)).runs()
    request_stop(run)
    monkeypatch.setenv("THAW_LAUNCHER", "slurm")
    monkeypatch.setitem(LAUNCHERS, "other", RecordingLauncher())
    sentence = "^THAW_LAUNCHER is one of local, other, got 'slurm'.$"
    with pytest.raises(CatalogError, match=sentence):
        launch(tiny_study(), store)
    with pytest.raises(CatalogError, match=sentence):
        resume(run.id, store)
    assert len(store.studies()) == 1
    assert run.state is RunState.STOPPED


def test_the_command_line_refuses_an_unknown_launcher_with_its_sentence(store, capsys, monkeypatch):
    monkeypatch.setenv("THAW_LAUNCHER", "slurm")
    words = ["run", "--preset", "try-it", "--detach", "--runs-dir", store.root]
    code, said, error = out(capsys, *words)
    assert (code, said) == (2, "")
    assert error == "THAW_LAUNCHER is one of local, got 'slurm'.\n"


def test_only_the_module_of_launchers_names_the_local_one():
    named = sorted(
        str(path.relative_to(PROJECT)) for path in PRODUCT if "LocalL" in path.read_text()
    )
    assert named == ["tl_engine/execution/launcher.py", "tl_engine/execution/local.py"]


def test_the_command_line_launches_and_resumes_with_the_configured_launcher(
    store, capsys, launches, monkeypatch
):
    where = ["--runs-dir", store.root]
    words = ["run", "--phase", "head:1:1e-3", "--set", "backbone=tiny", "--set", "pretrained=false"]
    assert out(capsys, *words, "--detach", *where)[0] == 0
    assert launches.started == [("worker",)]
    (run,) = store.studies()[0].runs()
    request_stop(run)
    launches.started.clear()

    def end(store):
        RecordingLauncher.ensure_worker(launches, store)
        request_stop(run)

    monkeypatch.setattr(launches, "ensure_worker", end)
    assert out(capsys, "resume", run.id, *where)[0] == 1
    assert launches.started == [("worker",)]


def test_the_command_line_measures_and_evaluates_in_its_own_process(
    store, capsys, launches, monkeypatch
):
    measured = []
    monkeypatch.setattr(
        "tl_engine.execution.cost.measure", lambda store, recipes: measured.extend(recipes)
    )
    monkeypatch.setattr(os, "nice", lambda number: number)
    study = store.create(tiny_study())
    where = ["--runs-dir", store.root]
    recipe = '{"phases": [{"trainable": "head", "epochs": 1, "learning_rate": 0.001}]}'
    assert out(capsys, "measure", recipe, *where)[0] == 0
    assert len(measured) == 1
    assert out(capsys, "robustness", study.id, *where)[0] == 0
    assert launches.started == []


def test_a_page_resumes_with_the_configured_launcher(store, monkeypatch, launches):
    (run,) = store.create(tiny_study(both=False)).runs()
    request_stop(run)
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
    app.session_state["selected"] = [run.id]
    app.run()
    assert launches.started == []
    app.button(key="resume").click().run()
    assert_whole(app)
    assert run.state is RunState.QUEUED
    assert ("worker",) in launches.started


def test_a_page_evaluates_finished_runs_with_the_configured_launcher(store, monkeypatch, launches):
    study = store.create(tiny_study(*fake_run.PHASES))
    for run in study.runs():
        finish(run, 0.0)
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_function(parts, default_timeout=30).run()
    app.button(key="robustness-start").click().run()
    assert_whole(app)
    assert launches.started == [("robustness", *(run.id for run in study.runs()))]


def test_a_process_that_cannot_be_started_leaves_no_lease_held(store, monkeypatch):
    store.create(tiny_study())

    def refuse(path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, "open_log", refuse)
    with pytest.raises(OSError, match="No space left"):
        LocalLauncher().ensure_worker(store)
    assert not is_held(store.worker_lease)


def test_a_started_process_has_the_lease_and_this_one_gives_it_up(store, monkeypatch):
    store.create(tiny_study())
    started = []

    class Started(subprocess.Popen):
        """A process that lives as long as its standard input is open."""

        def __init__(self, words, **options):
            started.append(words)
            code = [sys.executable, "-c", "import sys; sys.stdin.read()"]
            super().__init__(code, **{**options, "stdin": subprocess.PIPE})

    monkeypatch.setattr(subprocess, "Popen", Started)
    here = LocalLauncher()
    here.ensure_worker(store)
    here.ensure_worker(store)
    (words,) = started
    assert words[1:6] == ["-m", "tl_engine", "worker", "--runs-dir", str(store.root)]
    assert is_held(store.worker_lease)
    (child,) = here._children
    child.communicate()
    assert not is_held(store.worker_lease)
