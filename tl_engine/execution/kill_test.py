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
from contextlib import closing
from dataclasses import dataclass, field

import psutil

from tl_engine.errors import StoreError
from tl_engine.execution.launcher import launcher
from tl_engine.machine import PARENT
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import COSTS, Run, RunState, RunStore
from tl_engine.runs.run_outputs import model_arrays, probabilities
from tl_engine.runs.run_requests import enqueue
from tl_engine.study import Arm, Study

TARGETS = {"training process": 0.7, "worker": 0.15, "server": 0.15}
"""What a kill hits, and how often."""
KILLS_PER_RUN = 4
"""After so many, a run is left to end: it goes on by itself at most five times."""
RECIPE = Recipe(
    phases=(Phase("all", 3, 1e-3), Phase("head", 3, 1e-2)),
    backbone="tiny",
    pretrained=False,
    batchnorm="adapt",
    augmentation=True,
    train_images=200,
    image_size=16,
    batch_size=16,
)
"""Two phases with dropout, augmentation and BatchNorm, small enough for many kills."""
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


def kill_test(store: RunStore, kills: int, seed: int) -> Generator[str, None, Report]:
    """Train one run undisturbed, and others while so many processes are killed; the seed decides
    which, and when. Yields a line for each thing that happened, and returns the Report."""
    began, report, chance = time.monotonic(), Report(), random.Random(seed)  # noqa: S311
    with closing(_Server(store)) as server:
        undisturbed = [_queue(store, "Undisturbed"), _queue(store, "Undisturbed again")]
        _wait_until(lambda: all(run.state.is_over for run in undisturbed))
        expected = bits(undisturbed[0])
        # The second run had the process of the first, for which everything was traced already.
        fresh, reused = (float(run.outcome["seconds"]) for run in undisturbed)
        yield f"Undisturbed: {fresh:.1f} s, again {reused:.1f} s, {expected[:12]}"
        while report.kills.total() < kills:
            report.runs += 1
            run = _queue(store, f"Under fire {report.runs}")
            for place in range(min(KILLS_PER_RUN, kills - report.kills.total())):
                _wait_for_moment(run, chance, start=fresh / 2 if place else reused / 2)
                if run.state.is_over:
                    break
                yield f"{run.study.title}: {_kill(run, server, chance, report)}"
            _let_finish(run, report)
            same = bits(run) == expected
            report.identical += same
            yield f"{run.study.title}: {'the same bits' if same else 'OTHER BITS: ' + run.id}"
    report.seconds = time.monotonic() - began
    return report


def serve(root: str) -> None:
    """What an open page does, for ever: see that a worker lives where something waits."""
    store = RunStore(root)
    while True:
        launcher().ensure_worker(store)
        time.sleep(POLL_SECONDS)


class _Server:
    """The process that stands for the dashboard; killed and started again."""

    def __init__(self, store: RunStore) -> None:
        self._store, self._process = store, _start_server(store)

    def close(self) -> None:
        """Kill it and the workers."""
        self._process.kill()
        self._process.wait()
        for worker in self.workers():
            worker.kill()

    def restart(self) -> None:
        """Kill it with everything in its session, and start another."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = _start_server(self._store)

    def workers(self) -> list[psutil.Process]:
        """The processes that drain the store's queue."""
        wanted = {"worker", str(self._store.root)}
        processes = psutil.process_iter(["cmdline"])
        return [process for process in processes if wanted <= {*(process.info["cmdline"] or [])}]


def _start_server(store: RunStore) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve({str(store.root)!r})"],
        cwd=PARENT,
        # A run that finds its phases computed would have nothing to be killed in.
        env={**os.environ, "THAW_CACHE_GB": "0"},
        start_new_session=True,
    )


def _queue(store: RunStore, title: str) -> Run:
    return store.create(Study(title, (Arm("Fine-tune first", RECIPE),))).runs()[0]


def _wait_for_moment(run: Run, chance: random.Random, start: float) -> None:
    """Wait until the run has ended none, one or two more epochs, as chance chooses, and for a part
    of the next; where none has ended, for a part of the seconds that the start of a process takes.
    """
    ended = len(run.epochs())
    goal = min(ended + chance.randint(0, 2), RECIPE.total_epochs)
    _wait_until(lambda: len(run.epochs()) >= goal or run.state.is_over)
    epochs = run.epochs()  # none of a run that failed at its start
    part = float(epochs[-1]["seconds"]) if len(epochs) > ended else start
    time.sleep(chance.uniform(0, part))


def _kill(run: Run, server: _Server, chance: random.Random, report: Report) -> str:
    """Kill one of the processes; in words, which."""
    target = chance.choices(list(TARGETS), list(TARGETS.values()))[0]
    epochs, attempts = len(run.epochs()), len(run.attempts())
    if target == "server":
        server.restart()
    elif target == "worker" and (workers := server.workers()):
        workers[0].kill()
    else:
        target = "training process"
        try:
            launcher().end_process(run)
        except StoreError:
            return "nobody trains at this moment"
        _wait_until(lambda: len(run.attempts()) > attempts or run.state.is_over)
        for attempt in run.attempts()[attempts : attempts + 1]:
            report.lost += max(0, epochs - 1 - attempt["epoch"])
    report.kills[target] += 1
    return f"killed the {target} in epoch {epochs + 1}"


def _let_finish(run: Run, report: Report) -> None:
    """Wait for the end; a run that gave up is resumed, as a person would."""
    _wait_until(lambda: run.state.is_over)
    while run.state is RunState.FAILED and run.sentence.startswith("Its process died"):
        enqueue(run)
        report.asked += 1
        _wait_until(lambda: run.state.is_over)
    report.resumed += sum(not attempt["asked"] for attempt in run.attempts())


def _wait_until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not fact():
        if time.monotonic() > deadline:
            raise StoreError(f"Nothing happened for {PATIENCE_SECONDS:.0f} s: the runs are stuck.")
        time.sleep(POLL_SECONDS)


def bits(run: Run) -> str:
    """The sha256 of a finished run's variables, metrics, probabilities and audits, in hex."""
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
