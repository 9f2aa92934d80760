"""The page Explain, empty, full and of earlier versions; and where a softmax feeds the head."""

import shutil

import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.conftest import PROJECT, tiny_study
from tests.test_pages import assert_whole, visit, words
from tl_engine.analysis.phase_tables import EARLIER, STANDING
from tl_engine.recipe import Phase
from tl_engine.runs import RunStore

PAGE = "pages/4_Explain.py"


@pytest.fixture(autouse=True)
def no_real_processes(launches):
    """A page starts real workers and measurements; these tests look at pages only."""


@pytest.fixture
def copied(store, finished):
    """A study of two finished runs that may be changed."""
    shutil.copytree(finished.path, store.root / finished.id)
    return store


def rewrite(run, change):
    """Change the records of a run's phases."""
    scores = run.scores
    phases = [change(dict(phase)) for phase in scores["phases"]]
    fake_run.rewrite(run, "scores.json", {**scores, "phases": phases})


def without(phase):
    """As an earlier version left it."""
    return {name: value for name, value in phase.items() if not name.startswith("diagnosis")}


def test_without_finished_runs_the_page_says_what_to_do_next(store, monkeypatch):
    store.create(tiny_study())
    app = visit(PAGE, store, monkeypatch)
    assert_whole(app)
    assert "Nothing to explain yet" in words(app)


def test_a_study_of_two_arms_is_explained_whole(finished, monkeypatch):
    app = visit(PAGE, RunStore(finished.path.parent), monkeypatch)
    assert_whole(app)
    shown = words(app)
    assert STANDING in shown
    assert "The probe: 64 validation images" in shown
    assert "Fine-tune first, phase 2" in shown
    assert "left out" not in shown
    (key,) = [one.key for one in app.button_group if one.key.startswith("arms-")]
    assert len(app.button_group(key=key).value) == 2


def test_arms_can_be_left_out(finished, monkeypatch):
    app = visit(PAGE, RunStore(finished.path.parent), monkeypatch)
    pills = next(one for one in app.button_group if one.key.startswith("arms-"))
    pills.set_value([pills.value[1]]).run()
    assert_whole(app)
    assert "Freeze first, phase 2" in words(app)
    assert "Fine-tune first, phase 2" not in words(app)
    pills = next(one for one in app.button_group if one.key.startswith("arms-"))
    pills.set_value([]).run()
    assert_whole(app)
    assert "one arm" in words(app)


def test_runs_of_earlier_versions_are_said_to_be_so(copied, monkeypatch):
    runs = copied.studies()[0].runs()
    rewrite(runs[0], without)
    app = visit(PAGE, copied, monkeypatch)
    assert_whole(app)
    assert f"1 of 2 runs left out: {EARLIER}" in words(app)
    rewrite(runs[1], without)
    for ids, said in (("", "2 of 2 runs left out"), (runs[0].id, f"This run was {EARLIER}.")):
        app = visit(PAGE, copied, monkeypatch, **({"ids": ids} if ids else {}))
        assert_whole(app)
        assert said in words(app)


def test_the_reason_why_a_run_was_not_looked_at_is_shown_as_it_is(copied, monkeypatch):
    reason = {"skipped": "Too <b>short</b> to look."}
    for run in copied.studies()[0].runs():
        rewrite(run, lambda phase: {**phase, "diagnosis": reason})
    app = visit(PAGE, copied, monkeypatch)
    assert_whole(app)
    assert "2 of 2 runs left out: Too <b>short</b> to look." in words(app)
    assert not any("<b>" in element.value for element in app.info)


def test_a_phase_that_was_not_looked_at_hides_no_other(copied, monkeypatch):
    first, _ = copied.studies()[0].runs()
    rewrite(first, lambda phase: phase if phase["phase"] else without(phase))
    app = visit(PAGE, copied, monkeypatch)
    assert_whole(app)
    assert "Fine-tune first, phase 2" in words(app)


def test_launch_warns_of_a_head_that_a_softmax_feeds(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    assert "no backbone can bring the loss below" not in words(app)
    app.pills(key="preset").set_value("article").run()
    assert_whole(app)
    assert words(app).count("no backbone can bring the loss below 2.1") == 1


def test_the_card_of_a_run_warns_of_it_too(store, monkeypatch):
    phases = (Phase("all", 2, 1e-5),)
    settings = {"backbone": "efficientnet-lite0", "head_input": "softmax", "image_size": 64}
    run = store.create(tiny_study(*phases, both=False, **settings)).runs()[0]
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
    app.session_state["selected"] = [run.id]
    app.run()
    assert_whole(app)
    assert "no backbone can bring the loss below 2.2" in words(app)
