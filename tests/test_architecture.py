"""The tree: few modules at the root, one name for one thing, layers without a circle, and the table
of fifteen changes in docs/architecture.md."""

import ast
import re
from collections import Counter
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.test_layers import ENGINE, PAGES

PRODUCT = [*ENGINE, *PAGES, *sorted((PROJECT / "bench").glob("*.py"))]
FOLDERS = sorted({path.parent for path in ENGINE} - {PROJECT / "tl_engine"})
CORE = {"recipe", "study", "metric", "errors", "text", "machine"}
"""Modules at the root of the engine."""
BELOW = {
    "catalog": set(),
    "storage": set(),
    "data": {"catalog", "storage"},
    "analysis": {"catalog", "data"},
    "runs": {"catalog", "storage", "analysis"},
    "charts": {"data", "analysis"},
    "report": {"catalog", "data", "storage", "runs", "analysis", "charts"},
    "execution": {"catalog", "data", "storage", "runs", "analysis"},
    "learning": {"catalog", "data", "storage", "runs", "analysis", "execution"},
}
"""By folder, which others its modules may import when they are loaded, for types too."""


def module(path: Path) -> str:
    parts = path.relative_to(PROJECT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in PRODUCT}


def without_functions(path: Path) -> set[str]:
    """The product's modules that are imported when the file is, or for types."""
    tree = ast.parse(path.read_text())
    inside = {
        child
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.Lambda)
        for child in ast.walk(function)
    }
    found = set()
    for node in set(ast.walk(tree)) - inside:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= members & MODULES.keys() or {node.module}
    return found & MODULES.keys() - {module(path)}


def test_at_most_eight_modules_stand_at_the_root_of_the_engine():
    root = [path.stem for path in (PROJECT / "tl_engine").glob("*.py")]
    assert len([name for name in root if not name.startswith("__")]) <= 8


def test_no_module_imports_itself_in_a_circle_not_even_for_types():
    graph = {name: without_functions(path) for name, path in MODULES.items()}
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_a_name_of_a_module_stands_for_one_thing():
    names = Counter(path.stem for path in PRODUCT if not path.stem.startswith("__"))
    assert not [name for name, times in names.items() if times > 1]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_every_folder_says_what_belongs_there_and_what_it_may_import(folder):
    words = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    assert "import" in words


@pytest.mark.parametrize("folder", BELOW)
def test_a_folder_imports_only_what_lies_below_it(folder):
    allowed = CORE | BELOW[folder] | {folder, "tl_engine"}
    for path in (PROJECT / "tl_engine" / folder).rglob("*.py"):
        for name in without_functions(path):
            part = name.removeprefix("tl_engine.").partition(".")[0]
            assert part in allowed, f"{module(path)} imports {name}"


def functions() -> list[ast.FunctionDef]:
    return [
        node
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    ]


WAYS = (ast.If, ast.IfExp, ast.For, ast.While, ast.ExceptHandler, ast.Assert, ast.match_case)


def complexity(function: ast.FunctionDef) -> int:
    """McCabe's, as radon counts it: ways through a function."""
    found = 1
    for node in ast.walk(function):
        if isinstance(node, ast.BoolOp):
            found += len(node.values) - 1
        elif isinstance(node, ast.comprehension):
            found += 1 + len(node.ifs)
        elif isinstance(node, WAYS):
            found += 1
    return found


def quantile(numbers: list[int], share: float) -> int:
    return sorted(numbers)[int(share * (len(numbers) - 1))]


def test_functions_are_short_and_simple():
    found = functions()
    lines = [(one.end_lineno or one.lineno) - one.lineno + 1 for one in found]
    ways = [complexity(one) for one in found]
    assert quantile(lines, 0.5) <= 8
    assert quantile(lines, 0.9) <= 25
    assert quantile(ways, 0.9) <= 6
    assert not [one.name for one, n in zip(found, ways, strict=True) if n > 15]


def changes() -> dict[str, tuple[list[str], str]]:
    """By change, the files that it touches, and a word that stands in no others."""
    text = (PROJECT / "docs" / "architecture.md").read_text().partition("## Fifteen changes")[2]
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("| ")]
    return {
        change.strip(): (re.findall(r"`([\w/]+\.\w+)`", files), example.strip("` "))
        for change, files, example, _ in rows[1:]
    }


def text_files() -> dict[str, str]:
    """Every file of the product that is read by people, by the name that the documents give it."""
    files = [PROJECT / "app.py", *(PROJECT / "pages").glob("*.py"), *(PROJECT / "ui").rglob("*.py")]
    files += [
        path for path in (PROJECT / "tl_engine").rglob("*") if path.suffix in (".py", ".toml")
    ]
    names = {str(path.relative_to(PROJECT)).removeprefix("tl_engine/"): path for path in files}
    return {name: path.read_text() for name, path in names.items()}


def test_fifteen_changes_are_described():
    assert len(changes()) == 15


@pytest.mark.parametrize("change", changes())
def test_a_typical_change_touches_at_most_three_files(change):
    touched, example = changes()[change]
    texts = text_files()
    assert 1 <= len(touched) <= 3
    assert set(touched) <= texts.keys()
    found = {name for name, text in texts.items() if example and example in text}
    assert found <= set(touched)
    assert found or not example
