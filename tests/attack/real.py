"""Real processes on an attacked store, for a sample of the cases: they take seconds to start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.attack.mutations import Case
from tests.attack.oracle import Failure, place
from tests.attack.store import ENVIRONMENT, PROJECT
from tests.attack.survey import DROPPED

WORKER_SECONDS = 90.0
COMMAND_SECONDS = 15.0
"""Python and pandas take seconds to load on a busy machine."""


def look(case: Case, root: Path, waiting: list[str]) -> Iterator[Failure]:
    """List in a process of its own, then let a worker train what waits.

    Args:
        waiting: ids of runs that wait in the untouched store.
    """
    hurt = {path.split("/")[0] for path in case.touched}
    yield from _of("list", *_run(root, COMMAND_SECONDS, "list", "--json"))
    yield from _of("worker", *_run(root, WORKER_SECONDS, "worker", "--linger", "0"))
    for run in waiting:
        outcome = root / run / "outcome.json"
        if run.split("/")[0] in hurt:
            continue
        state = json.loads(outcome.read_text())["state"] if outcome.is_file() else "waits"
        if state != "finished":
            yield Failure("others hidden", "worker", f"what waits is not trained: {state}", run)


def _run(root: Path, seconds: float, *arguments: str) -> tuple[int | None, str]:
    command = [sys.executable, "-m", "tl_engine", *arguments, "--runs-dir", str(root)]
    if os.getuid() == 0:
        command = ["setpriv", DROPPED, *command]
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=PROJECT,
        env={**os.environ, **ENVIRONMENT},
        start_new_session=True,
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)  # its own session: the processes that it started
            return None, ""
        return process.returncode, said


def _of(name: str, code: int | None, said: str) -> Iterator[Failure]:
    where = f"{name} in a process"
    if code is None:
        yield Failure("hang", where, "it does not end", "")
    elif "Traceback" in said:
        yield Failure("traceback", where, place(said), said[-6000:])
    elif code not in (0, 2):
        yield Failure("no sentence", where, f"exit code {code}", said[-3000:])
