"""Who may do what: everybody on one's own machine, with a login those whom the list names."""

import ast
import re

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PROJECT, tiny_study
from tests.test_layers import PAGES
from tl_engine.runs import RunState, RunStore
from ui.access import LOOK_ONLY

LOGIN = {
    "redirect_uri": "http://localhost:8501/oauth2callback",
    "cookie_secret": "of no use",
    "client_id": "thaw",
    "client_secret": "of no use",
    "server_metadata_url": "http://localhost:1/.well-known/openid-configuration",
}
ADA = {"is_logged_in": True, "name": "Ada *Lovelace*", "email": "Ada@Example.org"}
PATHS = ["app.py", "pages/1_Launch.py", "pages/2_Compare.py", "pages/3_Classify.py"]
CHANGING = {
    "request_stop",
    "end_process",
    "resume",
    "launch",
    "label",
    "delete",
    "start",
    "measure",
}


@pytest.fixture(autouse=True)
def started(monkeypatch, launches):
    """What pages start instead of real processes."""
    from tl_engine.execution.predictor import Predictor

    monkeypatch.setattr(Predictor, "start", lambda self: None)
    return launches.started


@pytest.fixture
def visit(monkeypatch):
    """Open a page as somebody, where secrets.toml says something."""

    def visit(store, page="app.py", user=None, selected=(), **secrets):
        monkeypatch.setenv("THAW_RUNS_DIR", str(store.root))
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30)
        app.session_state["selected"] = list(selected)
        app.user.update(user or {})
        for name, value in secrets.items():
            app.secrets[name] = value
        app.run()
        return app if page == "app.py" else app.switch_page(page).run()

    return visit


def words(app):
    """What a page says."""
    shown = [*app.markdown, *app.caption, *app.error, *app.title]
    return " ".join(str(element.value) for element in shown)


def buttons(app):
    return {button.label for button in app.button}


@pytest.mark.parametrize("page", PATHS)
def test_with_a_login_every_page_asks_for_it_and_shows_nothing_else(page, finished, visit, started):
    app = visit(RunStore(finished.path.parent), page, {"is_logged_in": False}, auth=LOGIN)
    assert not app.exception
    assert buttons(app) == {"Log in"}
    assert not app.dataframe
    assert "Which order?" not in words(app)
    assert not started


def test_two_providers_have_a_button_each(store, visit):
    provider = {"client_id": "a", "client_secret": "b", "server_metadata_url": "c"}
    general = {"redirect_uri": LOGIN["redirect_uri"], "cookie_secret": "x"}
    app = visit(store, auth={**general, "google": provider, "okta": provider})
    assert buttons(app) == {"Log in with Google", "Log in with Okta"}


@pytest.mark.parametrize("page", PATHS)
def test_who_is_logged_in_is_shown_with_the_way_out(page, store, visit):
    app = visit(store, page, ADA, auth=LOGIN)
    assert not app.exception
    assert "Ada \\*Lovelace\\*" in words(app)
    assert "Log out" in buttons(app)


def test_without_a_login_nobody_is_asked_or_named(store, visit):
    app = visit(store)
    assert not buttons(app) & {"Log in", "Log out"}


def test_without_a_list_everybody_who_is_logged_in_may_change(store, visit):
    run = store.create(tiny_study()).runs()[0]
    app = visit(store, user=ADA, selected=[run.id], auth=LOGIN)
    assert {"Stop 1 run", "Rename or note", "Delete study"} <= buttons(app)
    app.button(key="stop").click().run()
    assert run.state is RunState.STOPPED


def test_whom_the_list_names_may_change_however_the_address_is_spelt(store, visit):
    store.create(tiny_study())
    app = visit(store, "pages/1_Launch.py", ADA, auth=LOGIN, thaw={"editors": [" ada@example.ORG"]})
    assert LOOK_ONLY not in words(app)
    app.button(key="launch").click().run()
    assert len(store.studies()) == 2


@pytest.mark.parametrize(
    "user",
    [
        ADA,
        {**ADA, "email": "eve@example.org", "email_verified": False},
        {"is_logged_in": True},
    ],
    ids=["another", "unverified", "without an address"],
)
def test_everybody_else_sees_everything_and_changes_nothing(user, finished, visit, started):
    secrets = {"auth": LOGIN, "thaw": {"editors": ["eve@example.org"]}}
    store = RunStore(finished.path.parent)
    run = finished.runs()[0]
    app = visit(store, user=user, selected=[run.id], **secrets)
    assert len(app.dataframe[0].value) == 2
    assert LOOK_ONLY in words(app)
    assert buttons(app) == {"Log out", "Compare", "Classify", "Clone into Launch"}
    app = visit(store, "pages/1_Launch.py", user, **secrets)
    assert not app.exception
    assert LOOK_ONLY in words(app)
    assert not any("Launch" in label for label in buttons(app))
    assert not started


def test_a_press_that_was_allowed_a_moment_ago_is_refused(store, visit):
    """The list changes between the page and the press; a forged press looks the same."""
    run = store.create(tiny_study()).runs()[0]
    app = visit(store, user=ADA, selected=[run.id], auth=LOGIN)
    stop = app.button(key="stop").click()
    app.secrets["thaw"] = {"editors": ["eve@example.org"]}
    stop.run()
    assert not run.stop_requested
    assert run.state is RunState.QUEUED


def test_who_logged_out_meanwhile_changes_nothing(store, visit):
    run = store.create(tiny_study()).runs()[0]
    app = visit(store, user=ADA, selected=[run.id], auth=LOGIN)
    stop = app.button(key="stop").click()
    app.user["is_logged_in"] = False
    stop.run()
    assert run.state is RunState.QUEUED


def test_a_list_without_a_login_lets_nobody_change(store, visit):
    app = visit(store, "pages/1_Launch.py", thaw={"editors": ["ada@example.org"]})
    assert LOOK_ONLY in words(app)


def test_a_name_that_a_proxy_vouches_for_counts(store, visit):
    proxied = {"email": "ada@example.org"}  # as server.trustedUserHeaders puts it into st.user
    app = visit(store, "pages/1_Launch.py", proxied, thaw={"editors": ["ada@example.org"]})
    assert any("Launch" in label for label in buttons(app))


@pytest.mark.parametrize("thaw", [{"editor": ["a@example.org"]}, {"editors": "a@example.org"}])
def test_a_list_that_cannot_be_meant_shuts_every_page(thaw, finished, visit):
    app = visit(RunStore(finished.path.parent), thaw=thaw)
    assert re.search(r"secrets.toml", words(app).replace("\\", ""))
    assert not app.dataframe


def test_a_page_on_an_open_address_says_so_and_nothing_else(finished, visit, monkeypatch, started):
    """`streamlit run pages/...` goes past app.py's server."""
    from streamlit import config

    address = config.get_option("server.address")
    config.set_option("server.address", "0.0.0.0")  # noqa: S104
    try:
        app = visit(RunStore(finished.path.parent))
    finally:
        config.set_option("server.address", address)
    assert "Thaw would listen on 0.0.0.0" in words(app).replace("\\", "")
    assert not app.dataframe
    assert not started


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_what_changes_something_stands_behind_a_question_who_may(path):
    tree = ast.parse(path.read_text())
    granted = {
        ast.unparse(node.targets[0])
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("access.button(")
    }
    asked = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and ("access." in ast.unparse(node.test) or ast.unparse(node.test) in granted)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    # Calls of `measure` and `start` stand themselves behind a question.
    asked |= {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name in ("measure", "start")
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and called(node) in CHANGING:
            assert id(node) in asked, f"{path.name}:{node.lineno} {ast.unparse(node)}"


def called(node):
    """The name of what is called, unless it belongs to the predictor, which changes nothing."""
    function = node.func
    if isinstance(function, ast.Attribute) and not ast.unparse(function).startswith("predictor("):
        return function.attr
    return function.id if isinstance(function, ast.Name) else None
