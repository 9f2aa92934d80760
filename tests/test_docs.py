"""Documents that cannot rot: README names every folder, links lead somewhere, commands exist."""

import re

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
    named = re.search(r"python -m tl_engine (list [^`]*)```", README)
    for name in ["run", *named.group(1).replace("|", " ").split()]:
        with pytest.raises(SystemExit) as ended:
            main([name, "--help"])
        assert ended.value.code == 0
        assert "--runs-dir" in capsys.readouterr().out


def test_every_make_target_that_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        assert set(re.findall(r"(?:^|`)make ([a-z-]+)", document.read_text(), re.M)) <= targets


def test_every_pinned_package_is_explained():
    explained = (PROJECT / "docs" / "dependencies.md").read_text()
    for name in ("requirements.txt", "requirements-dev.txt"):
        for package in re.findall(r"^([a-z0-9-]+)==", (PROJECT / name).read_text(), re.MULTILINE):
            assert package in explained, package
