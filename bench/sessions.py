"""Fifty people at once: `make bench-sessions`, or `python -m bench.sessions [--watching]`.

Ten of them work (a page, a wait of one to five seconds, another page, a word in the search box),
forty have a tab open in the background (--watching: in front, so that it refreshes), and a run
trains. Prints how long the server takes for them, and what went wrong.
"""

import argparse
import asyncio

import numpy as np

from bench.measured import megabytes, new_store
from tests.conftest import tiny_study
from tests.crowd import Crowd, train_one, visits
from tests.helpers import drain_in_a_process
from tests.server import server
from tl_engine.runs.run_requests import request_stop


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watching", action="store_true", help="tabs in front refresh themselves")
    watching = parser.parse_args().watching
    with new_store() as store:
        for _ in range(3):
            store.create(tiny_study())
        drain_in_a_process(store)
        run = train_one(store)
        with server(store.root) as (address, process):
            crowd = asyncio.run(
                visits(address, run, 50, busy=10, rounds=12, pause=(1.0, 5.0), refreshing=watching)
            )
            memory = megabytes(process)
        request_stop(run)
    report(crowd, memory)


def report(crowd: Crowd, memory: float) -> None:
    """One line per kind of run of a page, then what counts."""
    print(f"{'seconds':<26}{'runs':>6}{'p50':>9}{'p95':>9}{'max':>9}")
    for what, taken in [*sorted(crowd.seconds.items()), ("all: at most 2 s", crowd.reruns)]:
        middle, late, longest = np.quantile(taken, (0.5, 0.95, 1.0))
        print(f"{what:<26}{len(taken):>6}{middle:>9.2f}{late:>9.2f}{longest:>9.2f}")
    print(f"exceptions: {len(crowd.exceptions)}, foreign words: {len(crowd.leaks)}")
    print(f"own words that came back: at least {min(crowd.echoes)} per busy session")
    print(f"a run trained all the time: {'yes' if crowd.trained else 'no'}")
    print(f"server after that: {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    main()
