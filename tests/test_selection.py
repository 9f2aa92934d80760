"""What a link names is what a page shows, on every page, and nothing stands in for it."""

import shutil

import pytest

from tests import fake_run
from tests.conftest import tiny_study
from tests.test_pages import (  # noqa: F401 - a fixture
    assert_whole,
    finish,
    no_real_processes,
    visit,
    words,
)
from tl_engine.runs import ClaimedRun, RunState, RunStore
from ui import browser, selection

COMPARE, CLASSIFY, EXPLAIN = (
    f"pages/{name}.py" for name in ("2_Compare", "3_Classify", "4_Explain")
)


def two_finished(store):
    """Two studies of finished runs, the older one first."""
    for batch in (16, 32):  # equal recipes would be one comparison
        study = store.create(tiny_study(*fake_run.PHASES, batch_size=batch))
        for run in study.runs():
            finish(run, 0.0)
    newer, older = store.studies()  # both may be of the same second: their ids decide
    newer.label("Newer")
    older.label("Older")
    return store.study(older.id), store.study(newer.id)


def chosen(app):
    """Ids in the selection."""
    return app.multiselect[0].value


def test_a_link_names_each_id_once_and_tells_others_apart():
    one, run = "20200101-000000-aaaa", "20200101-000000-aaaa/arm1-pair01"
    named = browser.named(f"{one},{run},,{one}, ../../etc,\0,{'x' * 100_000}")
    assert named.ids == (one, run)
    assert named.others == ("../../etc", "\0", "x" * 100_000)
    long = browser.named(",".join(f"a{number}" for number in range(5000)))
    assert (len(long.ids), long.beyond) == (browser.MOST_IDS, 5000 - browser.MOST_IDS)


@pytest.mark.parametrize("page", [COMPARE, EXPLAIN])
def test_a_dead_link_shows_nothing_else_and_keeps_its_address(page, store, monkeypatch):
    two_finished(store)
    app = visit(page, store, monkeypatch, ids="20200101-000000-gone")
    assert_whole(app)
    assert "not here any more: 20200101-000000-gone" in words(app)
    assert chosen(app) == []
    assert app.query_params["ids"] == "20200101-000000-gone"


def test_what_is_there_of_a_link_is_shown_and_the_rest_named(store, monkeypatch):
    older, _ = two_finished(store)
    ids = f"gone,{older.id},{older.id}"
    app = visit(COMPARE, store, monkeypatch, ids=ids)
    assert_whole(app)
    assert "not here any more: gone" in words(app)
    assert chosen(app) == [older.id]
    assert app.query_params["ids"] == ids


@pytest.mark.parametrize("page", [COMPARE, CLASSIFY, EXPLAIN])
@pytest.mark.parametrize(
    "ids", ["x" * 100_000, "\0", ",", "é,ü/arm1-pair01", "../..", "a/b/c", "." * 50]
)
def test_odd_links_are_one_sentence(page, ids, finished, monkeypatch):
    app = visit(page, RunStore(finished.path.parent), monkeypatch, ids=ids)
    assert_whole(app)
    assert chosen(app) == []
    assert ids == "," or words(app).count("not here any more") == 1


def test_a_failed_run_in_a_link_is_named_with_its_reason(store, monkeypatch):
    two_finished(store)
    run = ClaimedRun(store.create(tiny_study()).runs()[0])
    run.begin()
    run.end(RunState.FAILED, "The loss became nan in epoch 2.", 3.0)
    for page in (COMPARE, CLASSIFY, EXPLAIN):
        app = visit(page, store, monkeypatch, ids=run.id)
        assert_whole(app)
        assert "is failed: The loss became nan in epoch 2." in words(app)
        assert "not here any more" not in words(app)
        assert chosen(app) == ([run.id] if page == COMPARE else [])
    assert "appears here by itself" not in words(visit(COMPARE, store, monkeypatch, ids=run.id))


def test_a_study_without_finished_runs_is_named_where_only_those_are_shown(store, monkeypatch):
    two_finished(store)
    waiting = store.create(tiny_study())
    app = visit(EXPLAIN, store, monkeypatch, ids=waiting.id)
    assert_whole(app)
    assert "has no finished run: 2 queued" in words(app)
    assert chosen(app) == []


def test_a_damaged_run_of_a_chosen_study_is_named_and_the_rest_shown(store, monkeypatch):
    older, _ = two_finished(store)
    damaged, sound = older.runs()
    (damaged.path / "history.jsonl").write_text('{"epoch": 1}\n')
    app = visit(COMPARE, store, monkeypatch, ids=older.id)
    assert_whole(app)
    assert f"{damaged.arm}, pair 1** of Older is damaged and left out: " in words(app)
    assert any(sound.arm in str(one.value) for one in app.markdown)


def test_the_selection_is_kept_across_pages(store, monkeypatch):
    older, newer = two_finished(store)
    app = visit(COMPARE, store, monkeypatch)
    assert chosen(app) == [newer.id]
    app.segmented_control(key="closer").set_value("Costs").run()
    app.multiselect[0].set_value([older.id]).run()
    assert app.query_params["ids"] == older.id
    del app.query_params["ids"]  # a link without any
    app.switch_page(EXPLAIN).run()
    assert chosen(app) == [older.id]
    app.switch_page(CLASSIFY).run()
    assert chosen(app) == [run.id for run in older.runs()]
    app.switch_page(COMPARE).run()
    assert_whole(app)
    assert chosen(app) == [older.id]


def test_the_menu_carries_the_selection(store, monkeypatch):
    older, _ = two_finished(store)
    app = visit(COMPARE, store, monkeypatch, ids=older.id)
    links = {one.proto.label: one.proto.query_string for one in app.get("page_link")}
    assert all(older.id in links[name] for name in ("Compare", "Classify", "Explain"))
    assert not links["Overview"]


def test_an_emptied_selection_stays_empty(store, monkeypatch):
    two_finished(store)
    app = visit(COMPARE, store, monkeypatch)
    app.multiselect[0].set_value([]).run()
    assert chosen(app) == []
    app.run()
    assert chosen(app) == []
    assert "Choose at least one" in words(app)


def test_another_address_is_followed_on_the_same_page(store, monkeypatch):
    """As the browser's back button asks for it."""
    older, newer = two_finished(store)
    app = visit(COMPARE, store, monkeypatch, ids=older.id)
    app.multiselect[0].set_value([older.id, newer.id]).run()
    app.query_params["ids"] = older.id
    app.run()
    assert chosen(app) == [older.id]


def test_a_study_that_nothing_can_be_read_of_starts_no_endless_rerun(store, monkeypatch):
    older, _ = two_finished(store)
    app = visit(COMPARE, store, monkeypatch, ids=older.id)
    begun = []
    original = selection.choose_runs
    monkeypatch.setattr(
        selection, "choose_runs", lambda *a, **b: begun.append(1) or original(*a, **b)
    )
    for path in (older.path / "study.json", *older.path.glob("*-pair01/recipe.json")):
        text = bytearray(path.read_bytes())
        text[len(text) // 2] ^= 0xFF
        path.write_bytes(text)
    app.run()
    assert_whole(app)
    assert len(begun) == 1
    assert "damaged" in words(app)


def test_runs_that_vanish_while_they_are_shown_are_a_sentence(store, monkeypatch):
    older, newer = two_finished(store)
    app = visit(COMPARE, store, monkeypatch, ids=f"{older.id},{newer.id}")
    shutil.rmtree(older.path)
    app.run()
    assert_whole(app)
    assert f"not here any more: {older.id}" in words(app)
    assert chosen(app) == [newer.id]


def test_more_than_a_page_holds_is_left_out_by_name(store, monkeypatch):
    older, newer = two_finished(store)
    monkeypatch.setattr(selection, "MOST_ARMS", 2)
    app = visit(COMPARE, store, monkeypatch, ids=f"{older.id},{newer.id}")
    assert_whole(app)
    assert "of the 2 chosen, 1 are left out: Newer" in words(app)


def test_what_was_just_launched_is_what_compare_shows_next(store, monkeypatch):
    older, _ = two_finished(store)
    app = visit(COMPARE, store, monkeypatch, ids=older.id)
    app.switch_page("pages/1_Launch.py").run()
    app.button(key="launch").click().run()
    launched = store.studies()[0]
    app.query_params.clear()
    app.switch_page(COMPARE).run()
    assert_whole(app)
    assert chosen(app) == [launched.id]
