"""Fixtures that tests share: a store of its own, small recipes, one finished study."""

from __future__ import annotations

import functools
import gc
import os
import sys
from collections.abc import Iterator
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# A run that another one has computed already tests nothing; tests of the cache give it room.
os.environ["THAW_CACHE_GB"] = "0"

from pathlib import Path

import hypothesis
import pytest

from tests.launches import RecordingLauncher
from tl_engine.execution.launcher import LAUNCHERS
from tl_engine.machine import use_onednn
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunStore, StudyFolder
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import FlockLease
from tl_engine.study import Study, name_arms, with_reversed

use_onednn()  # before any test loads TensorFlow
# The first example pays for what its function imports; time is measured in bench/.
hypothesis.settings.register_profile("thaw", deadline=None)
hypothesis.settings.load_profile("thaw")
PROJECT = Path(__file__).resolve().parents[1]
TINY: dict[str, Any] = {
    "backbone": "tiny",
    "pretrained": False,
    "train_images": 100,
    "image_size": 16,
    "batch_size": 32,
}


def tiny_recipe(*phases: Phase, **changes: Any) -> Recipe:
    """A recipe that trains in seconds."""
    return Recipe(phases or (Phase("all", 1, 1e-3), Phase("head", 1, 1e-2)), **{**TINY, **changes})


def tiny_study(*phases: Phase, pairs: int = 1, both: bool = True, **changes: Any) -> Study:
    """Both orders of a tiny recipe, or the one that was given."""
    recipes = with_reversed([tiny_recipe(*phases, **changes)])
    return Study("Which order?", name_arms(recipes if both else recipes[:1]), pairs)


LONGEST = (
    "test_kill_test.py",
    "test_browser.py",
    "test_instrument.py",
    "test_attack.py",
    "test_hostile_text.py",
    "test_training.py",
    "test_kills.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes first, so that no process begins one when the others are done."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.name, len(rank)))


@pytest.fixture(autouse=True, scope="module")
def libraries_are_set_aside() -> None:
    """Let the garbage collector skip what earlier tests have loaded: AppTest collects after each
    run of a page, and with TensorFlow loaded that takes longer than the page."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def own_main_module() -> Iterator[None]:
    """AppTest leaves its script as `__main__`, which multiprocessing would run in each child."""
    known = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = known


@pytest.fixture(autouse=True)
def full_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands that measure or evaluate give way to pages; run inside a test process, they would
    slow down every test after them."""
    monkeypatch.setattr(os, "nice", lambda increment: 0)


@pytest.fixture(autouse=True)
def one_look_for_components() -> None:
    """AppTest looks through all installed packages for components of Streamlit at each run of a
    page (0.2 s); what is installed does not change while tests run."""
    scanner: Any = sys.modules.get("streamlit.components.v2.manifest_scanner")
    if scanner and not hasattr(scanner.scan_component_manifests, "cache_info"):
        scanner.scan_component_manifests = functools.cache(scanner.scan_component_manifests)


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> RecordingLauncher:
    """What is started and ended, instead of real processes."""
    recording = RecordingLauncher()
    monkeypatch.setitem(LAUNCHERS, "local", recording)
    return recording


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    """An empty store."""
    return RunStore(tmp_path / "runs")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> StudyFolder:
    """A study whose two runs a real worker process has trained; not to be changed."""

    from tests.helpers import drain_in_a_process  # it needs PROJECT from this file

    here = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # several processes: the first of them trains for all
        here = here.parent
    store = RunStore(here / "finished" / "runs")
    with hold(FlockLease(here / "finished.lock"), wait=True):
        if not store.studies():
            # As many images as a run needs that can afford a look inside.
            store.create(tiny_study(train_images=1400))
            drain_in_a_process(store)
    return store.studies()[0]
