"""The guard round every page: a sentence or an id, never a traceback, whatever is raised where."""

import ast
import errno
import os
import re

import pytest
from streamlit.testing.v1 import AppTest

from tests.conftest import PROJECT
from tests.test_layers import PAGES
from tl_engine.errors import StoreError
from tl_engine.runs import RunStore

PATHS = [
    "app.py",
    "pages/1_Launch.py",
    "pages/2_Compare.py",
    "pages/3_Classify.py",
    "pages/4_Explain.py",
]
GUARDS = ("frame.guarded()", "guarded()")


@pytest.fixture
def broken(monkeypatch, finished):
    """Open a page whose store raises something wherever a page begins to ask it."""
    monkeypatch.setenv("THAW_RUNS_DIR", str(finished.path.parent))

    def visit(page, error):
        app = AppTest.from_file(str(PROJECT / "app.py"), default_timeout=30).run()
        for name in ("runs", "measurements"):
            monkeypatch.setattr(RunStore, name, property(lambda self: _raise(error)))
        return app.run() if page == "app.py" else app.switch_page(page).run()

    return visit


def _raise(error):
    raise error


def said(app):
    """The errors that a page shows."""
    assert not app.exception
    assert len(app.error) == 1
    return app.error[0].value.replace("\\", "")


@pytest.mark.parametrize("page", PATHS)
def test_what_the_engine_refuses_is_shown_as_it_is(page, broken):
    assert (
        said(broken(page, StoreError("There is <no> such study."))) == "There is <no> such study."
    )


@pytest.mark.parametrize("page", PATHS)
@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "Free some space"),
        (errno.EDQUOT, "Free some space"),
        (errno.EROFS, "Give the account that runs Thaw that right"),
        (errno.EACCES, "Give the account that runs Thaw that right"),
    ],
)
def test_a_disk_that_takes_no_more_is_a_sentence_with_what_to_do(page, number, advice, broken):
    sentence = said(broken(page, OSError(number, os.strerror(number), "/home/someone/runs")))
    assert advice in sentence
    assert "someone" not in sentence


@pytest.mark.parametrize("page", PATHS)
@pytest.mark.parametrize("error", [RuntimeError("/home/someone"), OSError(errno.EIO, "someone")])
def test_anything_else_is_an_id_that_the_log_explains(page, error, broken, caplog):
    sentence = said(broken(page, error))
    number = re.search(r"\(error (\w{8})\)", sentence).group(1)
    assert "someone" not in sentence
    (record,) = [one for one in caplog.records if number in one.getMessage()]
    assert record.exc_info[1] is error


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_page_fragment_and_dialog_is_guarded(path):
    tree = ast.parse(path.read_text())
    functions = {node.name: node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for name in refreshed(tree):
        assert is_guarded(functions[name]), f"{path.name}: {name} is not guarded"


def test_the_test_above_sees_fragments_and_dialogs():
    found = {name for path in PAGES for name in refreshed(ast.parse(path.read_text()))}
    assert {"overview", "preview", "evidence", "_rename", "_delete"} <= found


def refreshed(tree):
    """The functions that Streamlit runs again by themselves."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "st.fragment" and node.args:
            yield ast.unparse(node.args[0])
        decorators = map(ast.unparse, getattr(node, "decorator_list", []))
        if any(re.match(r"st\.(fragment|dialog)", one) for one in decorators):
            yield node.name


def is_guarded(function):
    """Whether all of it stands under the guard, by decorator or by one `with` round its body."""
    if any(ast.unparse(one) in GUARDS for one in function.decorator_list):
        return True
    body = function.body[1:] if ast.get_docstring(function) else function.body
    (first, *rest) = body
    return (
        isinstance(first, ast.With)
        and not rest
        and ast.unparse(first.items[0].context_expr) in GUARDS
    )


@pytest.mark.parametrize("path", PAGES[:1] + sorted((PROJECT / "pages").glob("*.py")), ids=str)
def test_a_page_draws_nothing_outside_its_frame(path):
    """At its top level there are only imports, names, functions and the frame."""
    quiet = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.Assign, ast.Expr)
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.If):  # app.py is the server as well
            assert ast.unparse(node.test) == "__name__ == '__main__'"
            (node,) = node.body
        if isinstance(node, ast.With):
            assert ast.unparse(node.items[0].context_expr).startswith("frame.page(")
        else:
            assert isinstance(node, quiet), f"{path.name}:{node.lineno}"
            assert not isinstance(node, ast.Expr) or isinstance(node.value, ast.Constant)
