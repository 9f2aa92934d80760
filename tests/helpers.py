"""What several test files do: start the engine's command line, wait for a fact."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from tests.conftest import PROJECT
from tl_engine.runs import RunStore


def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run `python -m tl_engine ...` to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tl_engine", *arguments],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
        **options,
    )


def drain_in_a_process(store: RunStore) -> None:
    """Train everything that is queued, in a real worker process."""
    done = command("worker", "--runs-dir", str(store.root), "--linger", "0")
    assert done.returncode == 0, done.stderr


def wait_until(fact: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until the fact is true; fail after some seconds."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)
