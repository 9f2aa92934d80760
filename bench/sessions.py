"""Fifty people at once: `make bench-sessions`, or `python -m bench.sessions` for the same.

Ten of them work (a page, a wait of one to five seconds, another page, a word in the search box),
forty have a tab open in the background, and a run trains. Every one of them types or carries in
its address a word that nobody else may ever see. Prints how long the server takes
for them, and what went wrong.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.helpers import drain_in_a_process
from tests.server import server
from tests.visitor import Visitor, visitor
from tl_engine.execution.local import launch
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Study, name_arms, with_reversed

TINY: dict[str, Any] = {"backbone": "tiny", "pretrained": False, "batch_size": 32}
FLOOR = "at most 2 s"


@dataclass
class Crowd:
    """What came of it.

    Attributes:
        seconds: per kind of run, how long each took.
        echoes: how often the word of each of the busy arrived at its owner's: without any, no
            leak could be seen either.
        leaks: words that arrived at somebody else's.
        exceptions: exceptions that the server drew.
        trained: whether a run trained from the beginning to the end.
    """

    seconds: dict[str, list[float]]
    echoes: list[int]
    leaks: list[bytes]
    exceptions: list[str]
    trained: bool

    @property
    def reruns(self) -> list[float]:
        """How long every run of every page took."""
        return [one for taken in self.seconds.values() for one in taken]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--busy", type=int, default=10, help="how many of them work")
    parser.add_argument("--rounds", type=int, default=12, help="how often each of those acts")
    parser.add_argument(
        "--watching", action="store_true", help="the others have their tab in front: it refreshes"
    )
    parser.add_argument("--think", type=float, nargs=2, default=(1.0, 5.0), help="seconds")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        finish_some(store, studies=3)
        run = train_one(store)
        with server(store.root) as (address, process):
            crowd = asyncio.run(
                visits(
                    address,
                    run,
                    options.sessions,
                    options.busy,
                    options.rounds,
                    tuple(options.think),
                    refreshing=options.watching,
                )
            )
            memory = psutil.Process(process.pid).memory_info().rss / 1e6
        request_stop(run)
    report(crowd, memory)


def finish_some(store: RunStore, studies: int) -> None:
    """Fill a store with finished studies of two tiny runs."""
    phases = (Phase("all", 2, 1e-3), Phase("head", 1, 1e-2))
    recipe = Recipe(phases, train_images=100, image_size=16, **TINY)
    for number in range(studies):
        store.create(Study(f"Study {number}", name_arms(with_reversed([recipe]))))
    drain_in_a_process(store)


def train_one(store: RunStore) -> Run:
    """Start a run that outlasts every measurement; somebody has to stop it."""
    phases = (Phase("all", 400, 1e-4), Phase("head", 1, 1e-3))
    recipe = Recipe(phases, train_images=5000, image_size=32, **TINY)
    return launch(Study("Long", name_arms(with_reversed([recipe])[:1])), store).runs()[0]


async def visits(
    address: str,
    run: Run,
    sessions: int,
    busy: int,
    rounds: int,
    think: tuple[float, float] = (0.0, 0.0),
    refreshing: bool = False,
) -> Crowd:
    """Let so many sessions be connected and so many of them act so many times.

    Args:
        think: seconds between two acts.
        refreshing: let the pages of those who only look refresh themselves, as in a browser whose
            tab is in front; off for those in the background.
    """
    words = [f"canary{number:03d}{random.getrandbits(32):08x}" for number in range(sessions)]
    async with AsyncExitStack() as stack:
        people = [
            await stack.enter_async_context(
                visitor(address, word.encode(), foreign_to(word, words))
            )
            for word in words
        ]
        for person, word, page in zip(people, words, pages(sessions), strict=True):
            await person.open(page, f"word={word}")
        began_alive = run.state.is_alive
        for person in people:
            person.seconds.clear()  # the first visit of a page loads what all later ones use
        watching = [asyncio.create_task(watch(person)) for person in people[busy:] if refreshing]
        async with asyncio.TaskGroup() as group:
            for person, word in zip(people[:busy], words, strict=False):
                group.create_task(work(person, word, run, rounds, think))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    trained = began_alive and run.state.is_alive
    return joined(people, busy, trained)


def foreign_to(word: str, words: list[str]) -> tuple[bytes, ...]:
    """The words of all others."""
    return tuple(other.encode() for other in words if other != word)


def pages(count: int) -> list[str]:
    """The pages that so many people have open."""
    return [("", "Compare", "Launch", "Classify")[number % 4] for number in range(count)]


async def watch(person: Visitor) -> None:
    """What a page does that is open: its fragments refresh themselves."""
    await asyncio.sleep(random.uniform(0, 2))  # noqa: S311 - people do not come all at once
    while True:
        await asyncio.sleep(min(person.refreshes.values(), default=2.0))
        await person.refresh()


async def work(
    person: Visitor, word: str, run: Run, rounds: int, think: tuple[float, float]
) -> None:
    """Go from page to page, type and look."""
    chance = random.Random(word)  # noqa: S311 - nothing depends on it but the order of clicks
    for number in range(rounds):
        await rest(person, chance.uniform(*think))
        match number % 6:
            case 0:
                await person.open("", f"word={word}")
                await person.type("Search", word)
            case 1:
                await person.type("Search", "")
            case 2:
                # What is not there is named: the word comes back.
                await person.open("Compare", f"ids={run.id},{word}")
            case 3:
                await person.open("Launch", f"word={word}")
            case 4:
                await person.type("Title", word)
            case 5:
                await person.open("Classify", f"word={word}")


async def rest(person: Visitor, seconds: float) -> None:
    """Look at a page for some time; meanwhile its fragments refresh themselves."""
    interval = min(person.refreshes.values(), default=seconds)
    while seconds > interval:
        await asyncio.sleep(interval)
        await person.refresh()
        seconds -= interval
    await asyncio.sleep(seconds)


def joined(people: list[Visitor], busy: int, trained: bool) -> Crowd:
    """What all of them saw."""
    seconds: dict[str, list[float]] = defaultdict(list)
    for person in people:
        for what, taken in person.seconds.items():
            seconds[what] += taken
    return Crowd(
        seconds,
        [person.echoes for person in people[:busy]],
        [one for person in people for one in person.leaks],
        [one for person in people for one in person.exceptions],
        trained,
    )


def report(crowd: Crowd, memory: float) -> None:
    """One line per kind of run, then what counts."""
    print(f"{'':<26}{'runs':>6}{'p50':>9}{'p95':>9}{'max':>9}")
    for what, taken in sorted(crowd.seconds.items()):
        print(line(what, taken))
    print(line("all", crowd.reruns), FLOOR)
    print(f"exceptions: {len(crowd.exceptions)}, foreign words: {len(crowd.leaks)}")
    print(f"own words that came back: at least {min(crowd.echoes)} per busy session")
    print(f"a run trained all the time: {'yes' if crowd.trained else 'no'}")
    print(f"server after that: {memory:.0f} MB", flush=True)


def line(what: str, taken: list[float]) -> str:
    """Median, 95th percentile and maximum in seconds."""
    later = (
        statistics.quantiles(taken, n=20, method="inclusive")[-1] if len(taken) > 1 else taken[0]
    )
    return (
        f"{what:<26}{len(taken):>6}{statistics.median(taken):>7.2f} s{later:>7.2f} s"
        f"{max(taken):>7.2f} s"
    )


if __name__ == "__main__":
    main()
