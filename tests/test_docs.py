"""Documents that cannot rot: README's tree is the disk, links lead somewhere, commands exist."""

import re
import subprocess

import pytest

from tests.conftest import PROJECT
from tl_engine.cli import main

README = (PROJECT / "README.md").read_text()
DOCUMENTS = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])


def tracked():
    """The files of the project that README's tree has to name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    return {
        path
        for path in listed
        if path.endswith(".py") and not path.endswith("__init__.py") and (PROJECT / path).exists()
    }


def named():
    """The files that README's tree names, with the folder above each."""
    tree = README.split("## Where things are")[1].split("```")[1]
    found, folders = set(), []
    for line in filter(str.strip, tree.split("\n")):
        depth = (len(line) - len(line.lstrip())) // 2
        name = line.split()[0]
        folders = [*folders[:depth], name]
        if not name.endswith("/"):
            found.add("".join(folders[:depth]) + name)
    return found


def test_readme_s_tree_is_the_disk():
    python = {path for path in named() if path.endswith(".py")}
    assert python == tracked()
    assert all((PROJECT / path).exists() for path in named())


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
