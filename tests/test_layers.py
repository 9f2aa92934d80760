"""Who may import whom, who may write where: held by reading every file."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

ENGINE = sorted((PROJECT / "tl_engine").rglob("*.py"))
LIGHT = [path for path in ENGINE if "learning" not in path.parts]
PAGES = [
    PROJECT / "app.py",
    *sorted((PROJECT / "pages").glob("*.py")),
    *sorted((PROJECT / "ui").rglob("*.py")),
]
HEAVY = {"tensorflow", "keras"}


def imports(path: Path, top_only: bool = False) -> Iterator[str]:
    tree = ast.parse(path.read_text())
    for node in tree.body if top_only else ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def name(path: Path) -> str:
    return str(path.relative_to(PROJECT))


@pytest.mark.parametrize("path", ENGINE, ids=name)
def test_the_engine_knows_no_browser(path):
    assert not {m for m in imports(path) if m.split(".")[0] in ("streamlit", "ui")}


@pytest.mark.parametrize("path", [*LIGHT, *PAGES], ids=name)
def test_only_learning_loads_keras(path):
    assert not {m for m in imports(path) if m.split(".")[0] in HEAVY}


@pytest.mark.parametrize("path", [*LIGHT, *PAGES], ids=name)
def test_learning_is_reached_only_inside_functions(path):
    assert not [m for m in imports(path, top_only=True) if m.startswith("tl_engine.learning")]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pages_reach_into_learning_never(path):
    assert not [m for m in imports(path) if m.startswith("tl_engine.learning")]


@pytest.mark.parametrize("path", [*ENGINE, *PAGES], ids=name)
def test_only_storage_opens_files_for_writing(path):
    if path.name == "atomic.py":
        return
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        called = getattr(function, "attr", getattr(function, "id", ""))
        assert called not in ("write_text", "write_bytes", "savetxt", "to_csv", "to_json_file")
        if called == "open" and isinstance(function, ast.Name):
            modes = [a.value for a in node.args[1:] if isinstance(a, ast.Constant)]
            assert all("r" in str(mode) for mode in modes), f"{path}: opens for writing"


UNSAFE = {
    *("pickle", "cPickle", "dill", "marshal", "shelve", "joblib"),
    *("eval", "exec", "os.system", "os.popen", "yaml.load", "yaml.unsafe_load"),
    *(
        "load_model",
        "model_from_json",
        "model_from_config",
        "clone_model",
        "enable_unsafe_deserialization",
    ),
}
"""What runs code that somebody else wrote, whatever it stands behind."""
UNSAFE_OPTIONS = {
    ("unsafe_allow_html", True),
    ("unsafe_allow_javascript", True),
    ("allow_pickle", True),
    ("safe_mode", False),
    ("shell", True),
}
MAY = {("efficientnet_lite.py", "pickle")}
"""The weights' file, checked by its sha256, through an unpickler that admits four names."""


def unsafe(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            yield from UNSAFE & {part for name in names for part in (name, name.split(".")[0])}
        if isinstance(node, ast.Attribute | ast.Name):
            yield from UNSAFE & {ast.unparse(node), getattr(node, "attr", "")} - {"eval", "exec"}
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield from {"eval", "exec"} & {node.func.id}
        if isinstance(node, ast.keyword):
            # A value that is computed could be either.
            value = node.value.value if isinstance(node.value, ast.Constant) else None
            yield from (o for o, bad in UNSAFE_OPTIONS if node.arg == o and value in (bad, None))


@pytest.mark.parametrize("path", [*ENGINE, *PAGES], ids=name)
def test_nothing_runs_code_that_came_from_outside(path):
    found = {(path.name, what) for what in unsafe(ast.parse(path.read_text()))}
    assert found <= MAY


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "eval('1')",
        "os.system('ls')",
        "keras.models.load_model(path)",
        "from keras.saving import load_model as load",
        "np.load(file, allow_pickle=True)",
        "subprocess.run(line, shell=wish)",
        "st.markdown(text, unsafe_allow_html=True)",
    ],
)
def test_the_search_for_what_runs_code_finds_it(code):
    assert list(unsafe(ast.parse(code)))


def test_importing_the_light_side_loads_neither_keras_nor_streamlit():
    modules = [
        ".".join(path.relative_to(PROJECT).with_suffix("").parts)
        for path in LIGHT
        if path.name not in ("__main__.py", "__init__.py")
    ]
    code = (
        f"import sys, importlib\nfor m in {modules!r}: importlib.import_module(m)\n"
        "print(sorted({'tensorflow', 'keras', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
