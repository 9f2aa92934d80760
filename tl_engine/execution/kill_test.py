"""Kill real training at random, and see that nothing is lost and no bit differs.

A server (what an open page does: see that a worker lives), a worker and the process that trains
are killed with SIGKILL at moments that a seed decides. Every run has to end like one that nobody
disturbed: the same bits in every variable, every metric and every probability.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

import psutil

from tl_engine.errors import StoreError
from tl_engine.execution import local
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import COSTS, Run, RunState, RunStore
from tl_engine.runs.run_outputs import model_arrays, probabilities
from tl_engine.runs.run_requests import enqueue
from tl_engine.study import Arm, Study

TARGETS = {"training process": 0.7, "worker": 0.15, "server": 0.15}
"""Whom a kill hits, and how often."""
KILLS_PER_RUN = 4
"""After so many, a run is left to end: it goes on by itself at most five times."""
SERVE = "import sys; from tl_engine.execution.kill_test import serve; serve(sys.argv[1])"
POLL_SECONDS = 0.05
PATIENCE_SECONDS = 300.0


@dataclass
class Report:
    """What happened.

    Attributes:
        kills: by target.
        lost: epochs that had to be trained again, beyond the one that was being trained.
        resumed, asked: how often runs went on by themselves, and because somebody asked.
        identical, runs: runs that ended with the bits of the undisturbed one, of all.
    """

    kills: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    resumed: int = 0
    asked: int = 0
    identical: int = 0
    runs: int = 0
    seconds: float = 0.0

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost and no bit differs."""
        return self.lost == 0 and self.identical == self.runs

    def __str__(self) -> str:
        parts = ", ".join(f"{count} of the {target}" for target, count in self.kills.items())
        return (
            f"{self.kills.total()} kills ({parts}) over {self.runs} runs in {self.seconds:.0f} s: "
            f"{self.lost} epochs lost beyond the one in flight, {self.identical} of {self.runs} "
            f"runs bit-identical to an undisturbed one. Runs went on by themselves "
            f"{self.resumed} times, and {self.asked} times because they were asked to."
        )


def recipe() -> Recipe:
    """Two phases with dropout, augmentation and BatchNorm, small enough for many kills."""
    return Recipe(
        phases=(Phase("all", 3, 1e-3), Phase("head", 3, 1e-2)),
        backbone="tiny",
        pretrained=False,
        batchnorm="adapt",
        augmentation=True,
        train_images=200,
        image_size=16,
        batch_size=16,
    )


def kill_test(store: RunStore, kills: int, seed: int) -> Generator[str, None, Report]:
    """Train one run undisturbed and others under fire.

    Yields:
        A line for each thing that happened.

    Returns:
        The Report, as the generator's value.
    """
    began, report, dice = time.monotonic(), Report(), random.Random(seed)  # noqa: S311
    with _Server(store) as server:
        reference = _launch(store, "Undisturbed")
        _wait_until_over(reference)
        duration = _seconds(reference)
        expected = bits(reference)
        yield f"Undisturbed: {reference.state.value} in {duration:.1f} s, {expected[:12]}"
        while report.kills.total() < kills:
            run = _launch(store, f"Under fire {report.runs + 1}")
            report.runs += 1
            for _ in range(min(KILLS_PER_RUN, kills - report.kills.total())):
                time.sleep(dice.uniform(0, 1.2 * duration))
                if run.state.is_over:
                    break
                yield _strike(run, server, dice, report)
            _wait_until_over(run, report)
            report.resumed += sum(not attempt["asked"] for attempt in run.attempts())
            same = bits(run) == expected
            report.identical += same
            yield f"{run.study.title}: {'the same bits' if same else 'OTHER BITS: ' + run.id}"
    report.seconds = time.monotonic() - began
    return report


def bits(run: Run) -> str:
    """The sha256 of all that a run computed: variables, metrics, probabilities, audits.

    Raises:
        StoreError: for a run that has not finished.
    """
    if run.state is not RunState.FINISHED:
        raise StoreError(f"Run {run.id} is {run.state.value}: {run.sentence}")
    digest = hashlib.sha256()
    for arrays in (model_arrays(run), probabilities(run)):
        for name, array in sorted(arrays.items()):
            digest.update(f"{name}{array.dtype}{array.shape}".encode() + array.tobytes())
    for epoch in run.epochs():
        computed = {name: value for name, value in epoch.items() if name not in COSTS}
        digest.update(json.dumps(computed, sort_keys=True).encode())
    audits = [phase["audit"] for phase in run.scores["phases"]]
    digest.update(json.dumps([audits, run.scores["splits"]], sort_keys=True).encode())
    return digest.hexdigest()


def serve(root: str) -> None:
    """What an open page does, for ever: see that a worker lives where something waits."""
    store = RunStore(root)
    while True:
        local.ensure_worker(store)
        time.sleep(POLL_SECONDS)


class _Server:
    """The process that stands for the dashboard; killed and started again."""

    def __init__(self, store: RunStore) -> None:
        self._store = store

    def __enter__(self) -> _Server:
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for worker in self.workers():
            worker.kill()

    def restart(self) -> None:
        """Kill it with everything in its session, and start another."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._start()

    def workers(self) -> list[psutil.Process]:
        """The processes that drain the store's queue."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if "worker" in words and str(self._store.root) in words:
                found.append(process)
        return found

    def _start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self._store.root)],
            cwd=local.PROJECT,
            # A run that finds its phases computed would have nothing to be killed in.
            env={**os.environ, "THAW_CACHE_GB": "0"},
            start_new_session=True,
        )


def _launch(store: RunStore, title: str) -> Run:
    return store.create(Study(title, (Arm("Fine-tune first", recipe()),))).runs()[0]


def _strike(run: Run, server: _Server, dice: random.Random, report: Report) -> str:
    """Kill somebody; what a run loses by it is counted when it has gone on."""
    target = dice.choices(list(TARGETS), list(TARGETS.values()))[0]
    seen, attempts = len(run.epochs()), len(run.attempts())
    if target == "server":
        server.restart()
    elif target == "worker" and (workers := server.workers()):
        workers[0].kill()
    elif not _kill_training(run):
        return f"{run.study.title}: nobody trains at this moment"
    else:
        target = "training process"
    report.kills[target] += 1
    if target == "training process":
        _wait_until(lambda: len(run.attempts()) > attempts or run.state.is_over)
        if len(run.attempts()) > attempts:
            report.lost += max(0, seen - 1 - run.attempts()[attempts]["epoch"])
    return f"{run.study.title}: killed the {target} in epoch {seen + 1}"


def _kill_training(run: Run) -> bool:
    try:
        local.end_process(run)
    except StoreError:
        return False
    return True


def _wait_until_over(run: Run, report: Report | None = None) -> None:
    """Wait for the end; a run that gave up is asked to go on, as a person would."""
    _wait_until(lambda: run.state.is_over)
    while report and run.state is RunState.FAILED and run.sentence.startswith("Its process died"):
        enqueue(run)
        report.asked += 1
        _wait_until(lambda: run.state.is_over)


def _wait_until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            raise StoreError(f"Nothing happened for {PATIENCE_SECONDS:.0f} s: the runs are stuck.")
        time.sleep(POLL_SECONDS)


def _seconds(run: Run) -> float:
    return float(run.outcome["seconds"])
