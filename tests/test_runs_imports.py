"""The folders runs and storage import in one direction."""

import ast

import pytest

from tests.conftest import PROJECT

FOLDERS = ("runs", "storage")
MODULES = {
    f"tl_engine.{folder}.{path.stem}": path
    for folder in FOLDERS
    for path in (PROJECT / "tl_engine" / folder).glob("[!_]*.py")
}


def imported(path):
    """Modules of the engine that a file imports, also inside functions and for types only."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tl_engine"):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & set(MODULES) or {node.module}


IMPORTS = {name: set(imported(path)) for name, path in MODULES.items()}


@pytest.mark.parametrize("name", [name for name in MODULES if "storage" in name])
def test_storage_imports_itself_and_the_errors(name):
    above = {module for module in IMPORTS[name] if not module.startswith("tl_engine.storage")}
    assert above <= {"tl_engine.errors"}


def test_no_module_imports_itself_through_others():
    left = {name: imports & set(MODULES) for name, imports in IMPORTS.items()}
    while free := [name for name, imports in left.items() if not imports & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"these import one another: {sorted(left)}"
