"""Other accounts on the machine read nothing that Thaw keeps, and find no name to wait for."""

import ast
import os
import stat

import pytest

from tests.conftest import tiny_study
from tests.test_layers import ENGINE, PAGES, name
from tl_engine.runs import RunStore
from tl_engine.storage import atomic


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def generous():
    """A umask that gives everything to everybody: privacy must not come from the umask."""
    before = os.umask(0)
    yield
    os.umask(before)


def test_every_folder_of_a_study_is_its_owner_s_alone(generous, tmp_path):
    store = RunStore(tmp_path / "deep" / "runs")
    store.create(tiny_study())
    folders = [store.root, *(path for path in store.root.rglob("*") if path.is_dir())]
    assert len(folders) >= 4
    assert {mode(folder) for folder in folders} == {0o700}


def test_folders_that_had_to_be_made_above_are_private_too(generous, tmp_path):
    atomic.make_folder(tmp_path / "a" / "b" / "c")
    assert [mode(tmp_path / part) for part in ("a", "a/b", "a/b/c")] == [0o700] * 3


def test_every_file_of_a_trained_run_is_its_owner_s_alone(finished):
    for path in finished.path.rglob("*"):
        if path.is_dir():
            assert mode(path) == 0o700, path
        else:
            assert not mode(path) & 0o077, path


@pytest.mark.parametrize("path", [*ENGINE, *PAGES], ids=name)
def test_no_temporary_file_has_a_name_that_others_can_guess(path):
    """Temporary names come from `tempfile`, in the folder that the file will live in."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not node.value.startswith(("/tmp/", "/var/tmp/", "/dev/shm/"))
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("tempfile.mktemp", "mktemp", "tempfile.gettempdir")
            if called.startswith("tempfile."):
                assert "dir" in {word.arg for word in node.keywords}, f"{name(path)}:{node.lineno}"
