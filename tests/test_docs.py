"""Documents that cannot rot: README names every folder, links lead somewhere, commands exist."""

import re
import tomllib
from itertools import chain

import pytest

from tests.conftest import PROJECT
from tl_engine.cli import main

README = (PROJECT / "README.md").read_text()
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])


def test_readme_names_every_folder_of_the_engine():
    tree = README.split("## Where things are")[1].split("```")[1]
    named = set(re.findall(r"^  (\w+)/", tree, re.MULTILINE))
    folders = {path.parent.name for path in (PROJECT / "tl_engine").glob("*/__init__.py")}
    assert named == folders
    assert len(tree.strip().splitlines()) <= 25


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def test_every_command_that_readme_names_has_help(capsys):
    named = re.search(r"thaw (list [^`]*)```", README)
    for name in ["app", "run", *named.group(1).replace("|", " ").split()]:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert "--runs-dir" in capsys.readouterr().out


def test_every_make_target_that_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.M)) <= targets


def test_every_measurement_has_a_figure_and_every_figure_s_command_exists():
    texts = [path.read_text() for path in (*DOCUMENTS, PROJECT / "Makefile")]
    named = {name for text in texts for name in re.findall(r"-m bench\.(\w+)", text)}
    programs = {
        path.stem for path in (PROJECT / "bench").glob("*.py") if "\ndef main(" in path.read_text()
    }
    assert named == programs


def test_readme_is_short():
    assert len(README.encode()) <= 8000


def test_architecture_names_every_environment_variable_of_the_product():
    product = [
        PROJECT / "app.py",
        *(p for f in ("pages", "ui", "tl_engine") for p in (PROJECT / f).rglob("*.py")),
    ]
    used = {name for path in product for name in re.findall(r"\bTHAW_[A-Z_]+", path.read_text())}
    assert used
    explained = (PROJECT / "docs" / "architecture.md").read_text()
    assert {name for name in used if f"`{name}`" not in explained} == set()


def test_every_file_that_architecture_names_exists():
    text = (PROJECT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`([a-z_/\d]*\.py)`", text, re.IGNORECASE):
        assert (PROJECT / name).exists() or (PROJECT / "tl_engine" / name).exists(), name


def test_every_direct_dependency_is_explained():
    explained = (PROJECT / "docs" / "dependencies.md").read_text()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    for requirement in chain(project["dependencies"], *project["optional-dependencies"].values()):
        package = re.match(r"[a-z0-9-]+", requirement).group()
        assert package == "thaw" or package in explained, package
