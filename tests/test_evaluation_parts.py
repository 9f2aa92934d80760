"""Compare's parts about finished runs: locked, open, measured, in words that people can trust."""

import shutil

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.conftest import PROJECT, tiny_study
from tests.test_pages import tables, words
from tl_engine.data.corruptions import CORRUPTIONS
from tl_engine.runs import ClaimedRun, Evaluation, StudyEvaluation
from tl_engine.runs.evaluations import write_result
from tl_engine.runs.evidence import of_store
from tl_engine.runs.test_access import note
from ui.compare import evaluation_control


def parts():
    """Both parts, for the newest study."""
    from tl_engine.report.arms import arms_of
    from tl_engine.report.parts import CLOSER
    from tl_engine.report.shown_results import results_of
    from ui.compare.part_views import show_alone
    from ui.frame import store

    runs = store().studies()[0].runs()
    results = results_of(runs, [arm.key for arm in arms_of(runs)[:2]])
    for part in (*CLOSER["Corrupted images"], *CLOSER["Test split"]):
        show_alone(part, results)


@pytest.fixture
def study(store, monkeypatch):
    """Two arms of five pairs, all finished without a network."""
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    made = store.create(tiny_study(*fake_run.PHASES, pairs=5))
    scores = {"validation": {"accuracy": 0.5, "confusion": [[1]]}}
    monkeypatch.setattr(fake_run, "SCORES", {"splits": scores, "phases": []})
    for run in made.runs():
        fake_run.train(ClaimedRun(run))
    return made


def opened(study, pairs=5):
    """The test split was opened; the first arm is right one image more often in every pair."""
    runs = [run for run in study.runs() if run.pair <= pairs]
    note(study, runs)
    labels = np.arange(2000) % 10
    for run in runs:
        right = 1000 + 20 * run.pair + 10 * (run.arm == study.study.arms[0].name) * run.pair
        said = np.where(np.arange(2000) < right, labels, (labels + 1) % 10)
        arrays = {
            "probabilities": np.eye(10, dtype=np.float16)[said],
            "labels": labels,
            "indices": np.arange(2000),
        }
        said = {"correct": right, "total": 2000, "loss": 1.0, "accuracy": right / 2000}
        write_result(run, Evaluation.TEST, {**said, "confusion": [[right]]}, arrays)


def shown():
    app = AppTest.from_function(parts, default_timeout=30).run()
    assert not app.exception
    assert not app.error
    return app


def test_what_was_not_measured_yet_is_offered_and_the_test_split_is_locked(study, monkeypatch):
    started = []
    monkeypatch.setattr(evaluation_control, "start", lambda *given: started.append(given))
    app = shown()
    assert "The test split is locked" in words(app)
    assert "No run was measured on corrupted images yet" in words(app)
    assert "It measures 10 finished runs" in words(app)
    assert "opened" not in words(app)
    app.button(key="test-start").click().run()
    assert not started  # one press asks, and writes nothing
    assert not of_store(study.path.parent).test_accesses(study)
    assert "An opening is counted for ever" in words(app)
    assert "**This cannot be undone.**" in words(app)
    app.button(key="test-confirm").click().run()
    ((_, asked, kind, runs),) = started
    assert (asked.id, kind, len(runs)) == (study.id, Evaluation.TEST, 10)


def test_an_open_test_split_stands_beside_validation_with_its_count(study):
    opened(study)
    app = shown()
    assert "Test opened 1 time:" in words(app)
    assert "locked" not in words(app)
    assert "95 %: paired t interval, of 5 pairs, for these two arms alone" in words(app)
    (rows,) = [t for t in tables(app) if t[0][0] == "5 pairs"]
    assert [row[0] for row in rows[-3:]] == ["Validation", "Test", "Test, without near-duplicates"]
    assert rows[-2][1:4] == ["54.5%", "53.0%", "+1.50"]
    assert rows[-3][3] == "+0.00"
    assert "Of 2,000 test images 0 are, to the last pixel" in words(app)
    assert not [button for button in app.button if button.key == "test-start"]


def test_fewer_than_four_pairs_are_a_look_and_the_rest_is_another_opening(study):
    opened(study, pairs=3)
    app = shown()
    assert "Fewer than 4 pairs are a look, not evidence" in words(app)
    assert app.button(key="test-start").label == "Open it for what has finished since"
    assert "It measures 4 finished runs" in words(app)


def test_an_opening_that_was_not_finished_goes_on(study, monkeypatch):
    note(study, study.runs())
    started = []
    monkeypatch.setattr(evaluation_control, "start", lambda *given: started.append(given))
    app = shown()
    assert app.button(key="test-start").label == "Go on with opening it"
    app.button(key="test-start").click().run()
    assert len(started) == 1  # it is open already: there is nothing to confirm


def test_whoever_leaves_the_test_split_locked_has_written_nothing(study, monkeypatch):
    started = []
    monkeypatch.setattr(evaluation_control, "start", lambda *given: started.append(given))
    app = shown()
    app.button(key="test-start").click().run()
    app.button(key="test-no").click().run()
    assert not started
    assert not of_store(study.path.parent).test_accesses(study)
    assert "The test split is locked" in words(app)


def test_progress_can_be_watched_and_stopped(study):
    asking = StudyEvaluation(study, Evaluation.ROBUSTNESS)
    with asking.hold():
        asking.report({"stage": "Measuring finished runs", "run": 3, "runs": 10, "fraction": 0.2})
        app = shown()
        assert not [button for button in app.button if button.key == "robustness-start"]
        app.button(key="robustness-stop").click().run()
        assert asking.stop_requested
        asking.report({"ended": "Stopped by request; what was measured is kept."})
    app = shown()
    assert "Stopped by request; what was measured is kept." in words(app)
    assert app.button(key="robustness-start")


def test_two_arms_on_corrupted_images_are_compared_pair_by_pair(study):
    for run in study.runs():
        right = 300 + 5 * run.pair + 10 * (run.arm == study.study.arms[0].name)
        counts = {name: [right] * 5 for name in CORRUPTIONS}
        value = {"total": 500, "sample": "a", "clean": 400, "corrupted": counts}
        write_result(run, Evaluation.ROBUSTNESS, value)
    app = shown()
    (rows,) = [t for t in tables(app) if t[0][0] == "5 pairs"]
    assert rows[-2] == ["Mean of all corruptions", "65.0%", "63.0%", "+2.00", "–"]
    assert rows[-1][:4] == ["The same images as they are", "80.0%", "80.0%", "+0.00"]
    assert "A diagnostic: it changes no verdict." in words(app)


def test_test_results_without_a_log_of_openings_count_as_one_opening(tmp_path, monkeypatch):
    golden = PROJECT / "tests" / "golden" / "format-3"
    shutil.copytree(golden, tmp_path / "runs")
    for log in (tmp_path / "runs").glob("*/openings.jsonl"):
        log.unlink()
    monkeypatch.setenv("THAW_RUNS_DIR", str(tmp_path / "runs"))
    app = shown()
    assert "Test opened 1 time; once at the end of each run, by an earlier version." in words(app)
    assert "locked" not in words(app)


def test_where_nothing_has_finished_nothing_can_be_opened(store, monkeypatch):
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    store.create(tiny_study())
    app = shown()
    assert "as soon as a run has finished" in words(app)
    assert not app.button


def test_a_damaged_log_of_openings_is_said_and_costs_the_rest_of_the_page_nothing(study):
    note(study, study.runs())
    path = study.path / "openings.jsonl"
    path.write_text(path.read_text().replace('"number": 1', '"number": 0'))
    app = AppTest.from_function(parts, default_timeout=30).run()
    assert [str(error.value).replace("\\", "") for error in app.error] == [
        f"{study.id}/openings.jsonl is damaged: it is not what was written."
    ]
    assert app.button(key="robustness-start")
