"""Every page, empty and full, without a browser."""

import json
import re
import shutil
import time

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.conftest import PROJECT, tiny_study
from tl_engine.runs import ClaimedRun, RunState, RunStore
from tl_engine.runs.run_outputs import open_log
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Expectation
from ui.section_view import table

PAGES = [
    "app.py",
    "pages/1_Launch.py",
    "pages/2_Compare.py",
    "pages/3_Classify.py",
    "pages/4_Explain.py",
]


@pytest.fixture(autouse=True)
def no_real_processes(monkeypatch, launches):
    """What pages start instead of real workers and measurements; these tests look at pages only."""
    from tl_engine.execution.predictor import Predictor

    monkeypatch.setattr(Predictor, "start", lambda self: None)
    return launches.started


def visit(page, store, monkeypatch, **query):
    """The page as a first visitor sees it."""
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30).run()
    for name, value in query.items():
        app.query_params[name] = value
    return app if page == "app.py" else app.switch_page(page).run()


def words(app):
    """All text that a page shows."""
    kinds = ("title", "header", "subheader", "markdown", "caption", "error", "info", "warning")
    shown = (str(element.value) for kind in kinds for element in getattr(app, kind))
    return " ".join(shown).replace("\\", "")


def tables(app):
    """The tables that a page shows, as rows of cells."""
    shown = [e.value.replace("\\", "") for e in app.markdown if e.value.startswith("| ")]
    rows = [[line.strip("| ").split(" | ") for line in one.split("\n")] for one in shown]
    return [[head, *body] for head, _, *body in rows]


def assert_whole(app):
    """Nothing was raised and nothing unexpected was said."""
    assert not app.exception
    assert "did not expect" not in words(app)


def with_rates(store, study):
    """Pretend that the study's steps were measured, so that Launch can estimate."""
    from tl_engine.analysis.work import rate_key

    for arm in study.arms:
        for phase in arm.recipe.phases:
            store.add_measurement(
                {
                    **rate_key(arm.recipe, phase),
                    "train_seconds_per_image": 0.01,
                    "reading_seconds_per_image": 0.001,
                    "forward_seconds_per_image": 0.001,
                    "setup_seconds": 1.0,
                    "startup_seconds": 1.0,
                }
            )


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_store_says_what_to_do_next(page, store, monkeypatch):
    app = visit(page, store, monkeypatch)
    assert_whole(app)
    if page != "pages/1_Launch.py":
        assert re.search("No runs yet|Nothing to (compare|explain) yet|No model yet", words(app))


@pytest.mark.parametrize("page", ["app.py", "pages/1_Launch.py", "pages/2_Compare.py"])
def test_a_full_store_opens_whole(page, finished, monkeypatch):
    app = visit(page, RunStore(finished.path.parent), monkeypatch)
    assert_whole(app)
    assert "No runs yet" not in words(app)


def test_classify_opens_whole_with_two_models(finished, monkeypatch):
    app = visit("pages/3_Classify.py", RunStore(finished.path.parent), monkeypatch)
    assert_whole(app)
    assert "1,000 of 1,000 validation images" in words(app)
    assert len(app.multiselect[0].value) == 2
    app.segmented_control(key="show").set_value("disagree").run()
    assert_whole(app)


def test_overview_shows_what_was_found_and_how_to_act(finished, monkeypatch):
    app = visit("app.py", RunStore(finished.path.parent), monkeypatch)
    table = app.dataframe[0].value
    assert list(table["State"]) == ["✓ finished", "✓ finished"]
    assert list(table["Arm"]) == ["Fine-tune first", "Freeze first"]
    assert "Select rows" in words(app)


def test_a_failed_run_shows_its_sentence_and_the_end_of_its_log(store, monkeypatch):
    run = ClaimedRun(store.create(tiny_study()).runs()[0])
    run.begin()
    with open_log(run) as log:
        log.write(b"last words")
    run.end(RunState.FAILED, "The loss became nan in epoch 2.", 3.0)
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
    app.session_state["selected"] = [run.id]
    app.run()
    assert_whole(app)
    assert "The loss became nan" in words(app)
    assert "last words" in app.code[0].value
    assert app.button(key="resume").label == "Restart 1 run"


def test_stop_asks_every_selected_run(store, monkeypatch):
    run = store.create(tiny_study()).runs()[0]
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
    app.session_state["selected"] = [run.id]
    app.run()
    app.button(key="stop").click().run()
    assert run.state is RunState.STOPPED


def test_a_damaged_study_is_said_and_hides_no_other(store, monkeypatch):
    store.create(tiny_study())
    broken = store.create(tiny_study())
    (broken.path / "study.json").write_text("{")
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert "study.json is damaged" in words(app)
    assert len(app.dataframe[0].value) == 4  # its runs know what was asked, too


def test_a_damaged_run_is_said_left_out_and_restarted(store, finished, monkeypatch):
    shutil.copytree(finished.path, store.root / finished.id)
    damaged, sound = store.study(finished.id).runs()
    (damaged.path / "history.jsonl").write_text('{"epoch": 1}\n')
    monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
    app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
    app.session_state["selected"] = [damaged.id]
    app.run()
    assert_whole(app)
    assert "history.jsonl is damaged" in words(app)
    assert app.button(key="resume").label == "Restart 1 run"
    app.switch_page("pages/2_Compare.py").run()
    assert_whole(app)
    assert "1 run is damaged and cannot be chosen" in words(app)
    assert app.multiselect[0].options[1:] == [f"✓ {sound.arm}, pair 1 · {finished.title}"]


def test_a_process_that_hangs_can_be_ended_from_overview(store, monkeypatch, launches):
    run = ClaimedRun(store.create(tiny_study()).runs()[0])
    with run.hold():
        run.begin()
        run.report({"stage": "Training"})
        monkeypatch.setattr("tl_engine.runs.heartbeat.SILENT_SECONDS", -1.0)
        app = visit("app.py", store, monkeypatch)
        assert_whole(app)
        assert "gave no sign of life" in words(app)
        app.button(key=f"end-{run.id}").click().run()
        assert_whole(app)
    assert launches.ended == [run.id]
    assert run.state is RunState.STOPPED


def test_a_full_disk_is_said_where_the_run_waits_for_it(store, monkeypatch):
    run = ClaimedRun(store.create(tiny_study()).runs()[0])
    with run.hold():
        run.begin()
        run.report({"stage": "Training", "paused": "Disk full: 27 MB needed, 3 MB free."})
        app = visit("app.py", store, monkeypatch)
        assert_whole(app)
        assert "27 MB needed" in words(app)
        assert app.dataframe[0].value["State"][0] == "⏸ paused"


def test_launch_starts_with_both_orders_of_try_it(store, monkeypatch):
    from tl_engine.catalog.presets import preset

    with_rates(store, preset("try-it").study())
    app = visit("pages/1_Launch.py", store, monkeypatch)
    shown = words(app)
    assert "Fine-tune first" in shown
    assert "Freeze first" in shown
    assert "3,341,802 trainable parameters" in shown
    assert re.search(r"\*\*about \d+ (s|min)", shown)
    assert app.button(key="launch").label == "Launch 2 runs"


def test_launch_writes_a_study_and_starts_a_worker(store, monkeypatch, no_real_processes):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.button(key="launch").click().run()
    assert_whole(app)
    (folder,) = store.studies()
    assert [run.recipe.order for run in folder.runs()] == ["all > head", "head > all"]
    assert ("worker",) in no_real_processes


def test_launch_measures_what_was_never_measured(store, monkeypatch, no_real_processes):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    assert not no_real_processes  # who is still typing is left to finish
    time.sleep(1.6)
    app.run()
    (arguments,) = [one for one in no_real_processes if one[0] == "measure"]
    assert json.loads(arguments[1])["backbone"] == "efficientnet-lite0"


@pytest.mark.parametrize("name", ["article", "keras-guide", "fine-tune-again", "efficientnet"])
def test_every_preset_fills_the_form(name, store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.pills(key="preset").set_value(name).run()
    assert_whole(app)
    assert app.number_input(key="form-image_size").value == 224
    assert app.selectbox(key="form-dataset").value == "cifar10"


def test_all_six_orders_show_six_arms(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.pills(key="preset").set_value("six-orders").run()
    assert_whole(app)
    assert app.button(key="launch").label == "Launch 6 runs"


def test_the_question_is_kept_whatever_else_is_typed(store, monkeypatch, no_real_processes):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.selectbox(key="form-arm").set_value("Freeze first").run()
    app.number_input(key="form-by-val_accuracy").set_value(1.5).run()
    app.number_input(key="form-batch_size").set_value(0).run()  # no arm can be named meanwhile
    assert_whole(app)
    app.number_input(key="form-batch_size").set_value(64).run()
    assert app.selectbox(key="form-arm").value == "Nothing in particular"
    app.selectbox(key="form-arm").set_value("Freeze first").run()
    app.selectbox(key="form-metric").set_value("val_loss").run()
    assert app.number_input(key="form-smallest-val_loss").value == 0.01
    assert app.number_input(key="form-by-val_loss").value == 0.01  # nats, not points
    app.selectbox(key="form-metric").set_value("val_accuracy").run()
    assert app.number_input(key="form-smallest-val_accuracy").value == 0.5
    assert app.number_input(key="form-by-val_accuracy").value == 1.5
    assert_whole(app)
    app.button(key="launch").click().run()
    study = store.studies()[0].study
    assert study.expectation == Expectation("Freeze first", 0.015)
    assert (study.metric, study.smallest_difference) == ("val_accuracy", 0.005)


def test_what_matters_is_refused_in_its_own_unit(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.number_input(key="form-smallest-val_accuracy").set_value(150).run()
    assert_whole(app)
    assert "above 0 and at most 100 points, got 150 points" in words(app)


def test_studies_of_one_title_are_told_apart_and_not_judged_as_one(store, monkeypatch):
    for size in (8, 16):
        study = store.create(tiny_study(*fake_run.PHASES, pairs=4, batch_size=size))
        for run in study.runs():
            finish(run, 0.0)
    ids = ",".join(folder.id for folder in store.studies())
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=ids)
    assert_whole(app)
    (contrast,) = [box for box in app.selectbox if box.label == "Contrast"]
    titles = contrast.options
    assert len(titles) == len(set(titles)) == 6
    assert all(folder.id in " ".join(titles) for folder in store.studies())
    (chosen,) = [box for box in app.multiselect if box.label == "Studies and runs to compare"]
    assert len(chosen.options) == len(set(chosen.options))


def test_studies_of_other_images_are_shown_and_not_compared(store, monkeypatch):
    for changes in ({}, {"dataset": "mnist"}):
        for run in store.create(tiny_study(*fake_run.PHASES, pairs=4, **changes)).runs():
            finish(run, 0.0)
    ids = ",".join(folder.id for folder in store.studies())
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=ids)
    assert_whole(app)
    said = set()
    for place in range(6):
        (contrast,) = [box for box in app.selectbox if box.label == "Contrast"]
        contrast.select_index(place).run()
        assert_whole(app)
        said |= set(re.findall("cannot be compared: they [a-z ]+", words(app)))
    assert "cannot be compared: they are measured on other images" in said
    assert any(one.startswith("cannot be compared: they differ in") for one in said)


def test_pairs_are_added_and_a_rival_launched_in_one_click(store, monkeypatch, no_real_processes):
    folder = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    for run in folder.runs():
        finish(run, 0.01 * run.arm_index * (run.pair % 2))
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=folder.id)
    (more,) = [button for button in app.button if "more pairs" in button.label]
    more.click().run()
    assert_whole(app)
    assert store.study(folder.id).added_pairs > 0


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("form-train_images", 9999, "5,000 training images, got 9,999"),
        ("form-image_size", 7, "got 7"),
        ("form-batch_size", 0, "got 0"),
        ("form-pairs", 0, "1 to 100 paired seeds, got 0"),
        ("epochs-1", 0, "got 0"),
        ("learning_rate-1", "-1", "above 0"),
        ("learning_rate-1", "quick", "got 'quick'"),
    ],
)
def test_nonsense_is_refused_with_a_sentence(key, value, sentence, store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    kind = app.text_input if isinstance(value, str) else app.number_input
    kind(key=key).set_value(value).run()
    assert_whole(app)
    assert sentence in words(app)
    assert app.button[-1].disabled


def test_a_logits_head_without_a_top_is_refused(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.selectbox(key="form-backbone").set_value("tiny").run()
    app.toggle(key="form-pretrained").set_value(False).run()
    app.selectbox(key="form-head_input").set_value("logits").run()
    assert_whole(app)
    assert "no ImageNet classifier" in words(app)


def test_phases_can_be_added_moved_and_removed(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch)
    app.button(key="up-2").click().run()
    assert app.selectbox(key="trainable-2").label == "Phase 1 trains"
    app.button(key="add-0").click().run()
    assert app.selectbox(key="trainable-3").label == "Phase 3 trains"
    for number in (1, 2, 3):
        app.button(key=f"remove-{number}").click().run()
    assert_whole(app)
    assert "at least one phase" in words(app)


def test_a_study_can_be_cloned_into_launch(finished, monkeypatch):
    store = RunStore(finished.path.parent)
    app = visit("pages/1_Launch.py", store, monkeypatch, clone=finished.id)
    assert_whole(app)
    assert app.selectbox(key="form-backbone").value == "tiny"
    assert app.text_input(key="form-title").value == "Which order? again"


def test_compare_opens_what_its_address_names(finished, monkeypatch):
    run = finished.runs()[1]
    store = RunStore(finished.path.parent)
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=run.id)
    assert app.multiselect[0].value == [run.id]
    scores = next(t for t in tables(app) if "Final" in t[0])
    assert [row[0] for row in scores[1:]] == [run.arm]


def test_compare_shows_only_the_settings_that_differ(finished, monkeypatch):
    app = visit("pages/2_Compare.py", RunStore(finished.path.parent), monkeypatch)
    settings = next(t for t in tables(app) if "setting" in t[0])
    assert [row[0] for row in settings[1:]] == ["phase 1", "phase 2"]


@pytest.mark.parametrize("ids", ["nonsense", "../../etc", "20200101-000000-aaaa/arm1-pair01"])
def test_a_link_to_what_is_gone_is_a_sentence(ids, finished, monkeypatch):
    app = visit("pages/2_Compare.py", RunStore(finished.path.parent), monkeypatch, ids=ids)
    assert_whole(app)
    assert "not here any more" in words(app)


def test_a_clone_of_what_is_gone_is_a_sentence(store, monkeypatch):
    app = visit("pages/1_Launch.py", store, monkeypatch, clone="gone")
    assert not app.exception
    assert "There is no study" in words(app)


def test_a_file_that_is_no_picture_gets_a_sentence(finished, monkeypatch):
    app = visit("pages/3_Classify.py", RunStore(finished.path.parent), monkeypatch)
    app.segmented_control(key="source").set_value("file").run()
    app.file_uploader(key="upload").upload("notes.png", b"no picture", "image/png").run()
    assert_whole(app)
    assert "This file is no picture that can be read here" in words(app)


def test_a_table_s_cells_keep_their_places_whatever_they_hold():
    frame = pd.DataFrame({"a|b": ["x | y\n| z", "<b>"]}, index=["![](http://x)", "-"])
    head, _, *body = table(frame).split("\n")
    assert re.findall(r"(?<!\\)\|", head) == re.findall(r"(?<!\\)\|", body[0]) == ["|"] * 3
    assert len(body) == 2
    assert "![" not in body[0].replace("\\!\\[", "")


def test_overview_starts_a_worker_where_something_waits(store, monkeypatch, no_real_processes):
    store.create(tiny_study())
    visit("app.py", store, monkeypatch)
    assert no_real_processes == [("worker",)]


def test_overview_does_not_ask_ten_thousand_runs_that_are_over_who_waits(
    finished, monkeypatch, no_real_processes
):
    asked = []
    monkeypatch.setattr(RunStore, "next_waiting", lambda self: asked.append(self))
    assert_whole(visit("app.py", RunStore(finished.path.parent), monkeypatch))
    assert not asked


def test_a_long_table_is_scrolled_and_its_names_stay_names():
    def draw():
        import pandas as pd

        from ui.section_view import show_table

        for rows in (50, 51):
            show_table(pd.DataFrame({"Arm": ["=1+1"] * rows, "Final": "50 %"}).set_index("Arm"))

    app = AppTest.from_function(draw).run()
    assert len(app.markdown) == len(app.dataframe) == 1
    assert list(app.dataframe[0].value["Arm"].unique()) == ["'=1+1"]


def finish(run, behind):
    """Train a run without a network; its accuracy stays behind what it would be."""
    claimed = ClaimedRun(run)
    claimed.begin()
    for epoch in range(1, fake_run.EPOCHS + 1):
        line = fake_run.line(epoch)
        line["val_accuracy"] -= behind
        claimed.append_epoch(line)
    claimed.commit(fake_run.state(fake_run.EPOCHS))
    splits = {"validation": {"confusion": np.eye(10, dtype=int).tolist()}}
    claimed.record_results({"splits": splits, "phases": []}, {})
    claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)


def test_compare_gives_a_verdict_on_whole_studies_only(store, monkeypatch):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    slower = study.study.arms[0].name

    def said(ids):
        app = visit("pages/2_Compare.py", store, monkeypatch, ids=ids)
        assert_whole(app)
        return words(app)

    runs = study.runs()

    def behind(run):
        return 0.02 * (run.arm == slower) * (1 + 0.1 * run.pair)

    for run in runs:
        if run.pair < 4:
            finish(run, behind(run))
    assert "3 pairs: a look, not evidence." in said(study.id)
    for run in runs:
        if run.pair == 4:
            finish(run, behind(run))
    assert "Freeze first is better than Fine-tune first: +2.50 points" in said(study.id)
    assert "4 of 4 planned pairs; Validation accuracy, last epoch; paired t interval" in said(
        study.id
    )
    chosen = said(",".join(run.id for run in runs if run.pair != 2))
    assert "is better than" not in chosen
    assert "whoever chose may have known them" in chosen


def test_overview_names_a_damaged_ledger_of_deleted_studies(store, monkeypatch):
    store.create(tiny_study())
    (store.root / "evidence.jsonl").write_text("no line of ours\n")
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert "evidence.jsonl is damaged" in words(app).replace("\\", "")


def test_a_run_on_its_way_has_no_final_score(store, monkeypatch):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=2))
    for run in study.runs()[:3]:
        finish(run, 0.0)
    last = study.runs()[3]
    with last.hold():
        fake_run.train(ClaimedRun(last), last=2)
    request_stop(last)
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=study.id)
    assert_whole(app)
    table = next(one for one in words(app).split("| Arm") if "Epochs" in one)
    assert table.count("4 of 4") == 3
    assert table.count("2 of 4") == 1
    assert "now 65.0%" in table.replace("\\", "")
