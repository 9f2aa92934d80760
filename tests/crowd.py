"""Many visitors at once: some work, the others have a tab open, and a run trains.

Each types, or carries in its address, a word that nobody else may ever see.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from tests.visitor import Visitor, visitor
from tl_engine.execution.launcher import launch
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.study import Study, name_arms, with_reversed

TINY: dict[str, Any] = {"backbone": "tiny", "pretrained": False, "batch_size": 32}
PAGES = ("", "Compare", "Launch", "Classify")


@dataclass
class Crowd:
    """What all visitors saw.

    Attributes:
        seconds: per kind of run of a page, how long each took.
        echoes: how often each busy visitor saw its own word: without any, no leak could be seen.
        leaks: words that somebody else saw.
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
        return [seconds for taken in self.seconds.values() for seconds in taken]


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
    pause: tuple[float, float] = (0.0, 0.0),
    refreshing: bool = False,
) -> Crowd:
    """Connect so many sessions and let so many of them act so many times.

    Args:
        pause: seconds between two acts, from and to.
        refreshing: let the pages of those who only look refresh themselves, as in a browser whose
            tab is in front.
    """
    words = [f"canary{number:03d}{random.getrandbits(32):08x}" for number in range(sessions)]
    async with AsyncExitStack() as stack:
        people = []
        for number, word in enumerate(words):
            foreign = tuple(other.encode() for other in words if other != word)
            entered = visitor(address, word.encode(), foreign)
            people.append(await stack.enter_async_context(entered))
            await people[-1].open(PAGES[number % len(PAGES)], f"word={word}")
        began_alive = run.state.is_alive
        for person in people:
            person.seconds.clear()  # the first visit of a page loads what all later ones use
        watching = [asyncio.create_task(watch(person)) for person in people[busy:] if refreshing]
        async with asyncio.TaskGroup() as group:
            for person, word in zip(people[:busy], words, strict=False):
                group.create_task(work(person, word, run, rounds, pause))
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
    seconds: dict[str, list[float]] = defaultdict(list)
    for person in people:
        for what, taken in person.seconds.items():
            seconds[what] += taken
    return Crowd(
        seconds,
        [person.echoes for person in people[:busy]],
        [leak for person in people for leak in person.leaks],
        [exception for person in people for exception in person.exceptions],
        began_alive and run.state.is_alive,
    )


async def watch(person: Visitor) -> None:
    """What a page does that is open: its fragments refresh themselves."""
    await asyncio.sleep(random.uniform(0, 2))
    while True:
        await asyncio.sleep(min(person.refreshes.values(), default=2.0))
        await person.refresh()


async def work(
    person: Visitor, word: str, run: Run, rounds: int, pause: tuple[float, float]
) -> None:
    """Go from page to page, type and look."""
    chance = random.Random(word)
    acts: list[Callable[[], Awaitable[None]]] = [
        lambda: person.open("", f"word={word}"),
        lambda: person.type("Search", word),
        lambda: person.type("Search", ""),
        # What does not exist is named: the word comes back.
        lambda: person.open("Compare", f"ids={run.id},{word}"),
        lambda: person.open("Launch", f"word={word}"),
        lambda: person.type("Title", word),
        lambda: person.open("Classify", f"word={word}"),
    ]
    for number in range(rounds):
        await rest(person, chance.uniform(*pause))
        await acts[number % len(acts)]()


async def rest(person: Visitor, seconds: float) -> None:
    """Look at a page for some time; meanwhile its fragments refresh themselves."""
    interval = min(person.refreshes.values(), default=seconds)
    while seconds > interval:
        await asyncio.sleep(interval)
        await person.refresh()
        seconds -= interval
    await asyncio.sleep(seconds)
