"""The store that is attacked: small studies of every state, trained by a real worker."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import ClaimedRun, RunState, RunStore, StudyFolder
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Study, name_arms, with_reversed

PROJECT = Path(__file__).resolve().parents[2]
WITNESS = "Witness"
ENVIRONMENT = {"TF_CPP_MIN_LOG_LEVEL": "2", "THAW_CACHE_GB": "0.01", "HOME": "/tmp"}


def build(root: Path) -> Path:
    """Build the reference store where it is not there yet; its folder.

    Its studies, oldest first: the witness, which nothing attacks; one with a label, an opened
    test split and answers to corrupted images; a plain one of three pairs; one whose first run
    was stopped; one that fails; one that waits.
    """
    ready = root.with_name(f"{root.name}.ready")
    if ready.exists():
        return root
    shutil.rmtree(root, ignore_errors=True)
    store = RunStore(root)
    witness = _create(store, WITNESS, 2, 2e-3)
    asked = _create(store, "Asked twice", 2, 1e-3)
    _create(store, "Plain", 3, 3e-3)
    stopped = _create(store, "Stopped", 1, 4e-3)
    fails = _create(store, "Fails", 1, 6e-3)
    request_stop(stopped.runs()[0])
    with fails.runs()[0].hold():
        claimed = ClaimedRun(fails.runs()[0])
        claimed.end(RunState.FAILED, "The loss is not a number (nan) after step 3.", 1.0)
        claimed.leave_queue()
    commands(
        root,
        ["worker", "--linger", "0"],
        ["open-test", "--yes", asked.id],
        ["open-test", "--yes", witness.id],
        ["robustness", asked.id],
    )
    asked.label(title="Asked three times", note="What a person wrote.\nIn two lines.")
    _create(store, "Waits", 1, 5e-3)
    ready.write_text("built\n")
    return root


def commands(root: Path, *wanted: list[str]) -> None:
    """Run commands of the engine one after another in one process, which loads TensorFlow once."""
    lists = [[*one, "--runs-dir", str(root)] for one in wanted]
    code = "from tl_engine.cli import main\nif __name__ == '__main__':\n"
    code += f"    assert not any(map(main, {lists!r}))\n"
    script = root.with_name(f"{root.name}.build.py")
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, **ENVIRONMENT, "PYTHONPATH": str(PROJECT)},
    )
    if done.returncode:
        raise RuntimeError(done.stderr)


def _create(store: RunStore, title: str, pairs: int, rate: float) -> StudyFolder:
    recipe = Recipe(
        (Phase("all", 2, rate), Phase("head", 1, 10 * rate)),
        backbone="tiny",
        pretrained=False,
        train_images=100,
        image_size=16,
        batch_size=32,
    )
    time.sleep(1.1)  # ids and times of launch are told apart by seconds
    return store.create(Study(title, name_arms(with_reversed([recipe])), pairs), threads=1)
