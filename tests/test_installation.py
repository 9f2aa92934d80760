"""Thaw as it is installed: one wheel, one command, one rule for where runs are kept."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from itertools import chain
from pathlib import Path

import pytest

from tests.conftest import PROJECT
from tests.server import free_port, wait_for
from tests.visitor import visitor
from tl_engine import machine
from tl_engine.cli import main
from tl_engine.cli.entry import parser
from ui import frame

LOCK = (PROJECT / "requirements.lock").read_text()
CONFIGURED = tomllib.loads((PROJECT / "pyproject.toml").read_text())


@pytest.fixture
def no_wishes(monkeypatch, tmp_path):
    """A user who has set nothing."""
    for name in (machine.RUNS_DIR, "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_a_checkout_keeps_runs_in_its_own_folder_wherever_it_is_started(no_wishes, monkeypatch):
    monkeypatch.chdir(no_wishes)
    assert machine.default_runs_folder() == PROJECT / "runs"


def test_an_installed_thaw_keeps_runs_among_the_user_s_data(no_wishes, monkeypatch):
    installed = no_wishes / "site-packages"
    (installed / "thaw").mkdir(parents=True)
    (installed / "thaw" / "app.py").touch()
    user_data = no_wishes / ".local" / "share"
    assert machine.default_runs_folder(installed) == user_data / "thaw" / "runs"
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert machine.default_runs_folder(installed) == Path("/data/thaw/runs")


def test_the_environment_names_another_folder_and_an_empty_name_none(no_wishes, monkeypatch):
    monkeypatch.setenv(machine.RUNS_DIR, "/elsewhere")
    assert machine.default_runs_folder() == Path("/elsewhere")
    monkeypatch.setenv(machine.RUNS_DIR, "")
    assert machine.default_runs_folder() == PROJECT / "runs"


def test_pages_and_command_line_look_at_the_same_studies(no_wishes, monkeypatch):
    monkeypatch.setenv(machine.RUNS_DIR, str(no_wishes / "mine"))
    assert parser().parse_args(["list"]).runs_dir == frame.store().root == no_wishes / "mine"


def test_only_the_app_passes_options_on(capsys, monkeypatch, tmp_path):
    started = {}
    monkeypatch.setattr(os, "execve", lambda *given: started.update(words=given[1], env=given[2]))
    main(["app", "--runs-dir", str(tmp_path / "runs"), "--server.port", "8600"])
    assert started["words"][1:4] == ["-m", "streamlit", "run"]
    assert started["words"][-3:] == [str(PROJECT / "app.py"), "--server.port", "8600"]
    assert started["env"][machine.RUNS_DIR] == str(tmp_path / "runs")
    with pytest.raises(SystemExit):
        main(["list", "--server.port", "8600"])
    assert "unrecognized arguments: --server.port 8600" in capsys.readouterr().err


def test_the_lock_holds_names_versions_and_hashes_only():
    requirement = (
        r"[a-z0-9-]+==[\w.]+(?: ; [\w. '!=<>]+)?(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n"
    )
    assert re.fullmatch(f"(?:{requirement})+", LOCK)


def test_the_lock_holds_every_direct_dependency():
    project = CONFIGURED["project"]
    direct = chain(project["dependencies"], *project["optional-dependencies"].values())
    names = {re.match(r"[\w-]+", one).group() for one in direct} - {project["name"]}
    assert names <= set(re.findall(r"^([a-z0-9-]+)==", LOCK, re.MULTILINE))


@pytest.mark.skipif(not shutil.which("apt-get"), reason="another system's packages")
@pytest.mark.parametrize(("ci", "installs"), [("", False), ("true", True)])
def test_make_installs_system_packages_only_where_ci_is_set(ci, installs):
    would_run = run("make", "-n", f"CI={ci}", "CHROMIUM=", "chromium", cwd=PROJECT)
    assert "Chromium is missing" in would_run
    assert "apt-get install chromium" in would_run
    assert ("apt-get update" in would_run) is installs


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder of a fresh virtual environment with the wheel and our environment's packages."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=PROJECT)
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "venv")
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps")
    run(*pip, "--no-index", "--disable-pip-version-check", wheel, cwd=folder)
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = run(python, "-c", code, cwd=folder).strip()
    Path(site, "ours.pth").write_text(sysconfig.get_path("purelib"))
    return folder


def run(*words, cwd):
    """Run a command in that folder: what it printed."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_installed_thaw_lists_its_runs_from_any_folder(installed, tmp_path):
    printed = run(
        installed / "venv/bin/thaw", "list", "--runs-dir", tmp_path / "runs", cwd=tmp_path
    )
    assert "No runs yet" in printed
    code = (
        "from tl_engine.data import sources; print(len(sources.load('fashion-mini').train.labels))"
    )
    assert run(installed / "venv/bin/python", "-c", code, cwd=tmp_path).strip() == "5000"


def test_an_installed_thaw_shows_its_pages_from_any_folder(installed, tmp_path):
    port = free_port()
    words = ["app", "--runs-dir", tmp_path / "runs", "--server.port", port]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen(
        [str(word) for word in (installed / "venv/bin/thaw", *words)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(address, process)
        said, exceptions = asyncio.run(every_page(address))
    finally:
        process.terminate()
        process.wait(10)
    assert exceptions == []
    assert any("Thaw trains both orders" in text for text in said)


async def every_page(address):
    """What Overview says, and the exceptions of all pages."""
    async with visitor(address) as person:
        await person.open("")
        said = list(person.said)
        for page in ("Launch", "Compare", "Classify", "Explain"):
            await person.open(page)
        return said, person.exceptions
