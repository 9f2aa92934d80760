"""Overview's card of the selected runs: what its buttons do, and to what."""

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PROJECT, tiny_study
from tests.test_pages import assert_whole, finish, no_real_processes, words  # noqa: F401 - a fixture
from ui.overview import run_card


@pytest.fixture
def card(monkeypatch):
    """Overview with these runs selected."""

    def shown(store, runs):
        monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
        app.session_state["selected"] = [run.id for run in runs]
        return app.run()

    return shown


def test_of_two_studies_both_are_named_before_both_are_deleted(store, card):
    studies = [store.create(tiny_study()) for _ in range(3)]
    for study, title in zip(studies, ("First", "Second", "Third"), strict=True):
        study.label(title)
    app = card(store, [study.runs()[0] for study in studies[:2]])
    assert app.button(key="rename").disabled
    assert app.button(key="clone").disabled
    assert app.button(key="delete").label == "Delete 2 studies"
    app.button(key="delete").click().run()
    assert_whole(app)
    assert "**First** with 2 runs" in words(app)
    assert "**Second** with 2 runs" in words(app)
    assert "**Third** with" not in words(app)
    assert len(store.studies()) == 3
    app.button(key="delete").click()  # a test's dialog is open in one run only
    app.button(key="confirm-delete").click().run()
    assert [study.id for study in store.studies()] == [studies[2].id]


def test_an_h5_file_is_offered_once_it_is_made_and_its_absence_said(
    store,
    card,
    monkeypatch,
    no_real_processes,  # noqa: F811
):
    run = store.create(tiny_study()).runs()[0]
    finish(run, 0.0)
    (run.path / "model.keras").write_bytes(b"a model")
    app = card(store, [run])
    app.button(key=f"make-h5-{run.id}").click().run()
    assert_whole(app)
    assert ("export", run.id, "--format", "h5") in no_real_processes
    assert "is being made" in words(app)
    assert f"make-h5-{run.id}" not in [button.key for button in app.button]
    monkeypatch.setattr(run_card, "LONGEST_EXPORT", -1.0)
    app.run()
    assert "No .h5 file was made" in words(app)
    app.button(key=f"make-h5-{run.id}").click().run()
    (run.path / "model.h5").write_bytes(b"a model")
    app.run()
    assert_whole(app)
    labels = [one.proto.label for one in app.get("download_button")]
    assert labels == ["Model as .keras", "Model as .h5"]
