"""What measurements share: an empty store, seconds, a line per figure, pages in a cold browser."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from subprocess import Popen
from typing import Any

import psutil

from tests.server import browser, server
from tl_engine.runs import RunStore

PAINTED = """
([sign, count]) => {
    const watcher = new MutationObserver(() => {
        if (document.querySelectorAll(sign).length < count) return
        watcher.disconnect()
        // The second frame begins when the first one, which shows it, has been painted.
        requestAnimationFrame(() => requestAnimationFrame(() => window.painted = performance.now()))
    })
    watcher.observe(document, {childList: true, subtree: true, attributes: true})
}
"""
Sign = tuple[str, int]  # a CSS selector, and how many elements that fit it make a page complete


@contextmanager
def new_store() -> Iterator[RunStore]:
    """An empty store; gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        yield RunStore(Path(folder) / "runs")


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def megabytes(process: Popen[bytes]) -> float:
    """Memory of a process."""
    return psutil.Process(process.pid).memory_info().rss / 1e6


def show(what: str, value: str, limit: str = "") -> None:
    """Print one figure, with what it should be."""
    print(f"{what:<36}{value:<52}{limit}", flush=True)


def compare_pages(runs: Path, signs: Mapping[str, Sign], rounds: int) -> dict[str, list[float]]:
    """Seconds until each page is painted, in turn with an empty Streamlit page ("empty"); prints
    the server's memory. The first round, which warms both servers, is not counted. `signs` are by
    address of a page."""
    script = runs.parent / "empty.py"
    script.write_text("import streamlit as st\nst.write('empty')\n")
    with server(runs) as (address, process), server(runs, script) as (empty, _):
        addresses = {"empty": (empty, ("[data-testid=stMarkdown]", 1))}
        addresses |= {page: (f"{address}/{page}", sign) for page, sign in signs.items()}
        seconds: dict[str, list[float]] = {page: [] for page in addresses}
        with browser() as chromium:
            for _ in range(1 + rounds):
                for page, (where, sign) in addresses.items():
                    seconds[page].append(_seconds_until_painted(chromium, where, sign))
        show("server after that", f"{megabytes(process):.0f} MB", "at most 300 MB")
        loaded = "tensorflow" in Path(f"/proc/{process.pid}/maps").read_text()
        show("TensorFlow in it", "yes" if loaded else "no", "no")
    show("empty Streamlit page", f"{median(seconds['empty'][1:]):.2f} s")
    return {page: taken[1:] for page, taken in seconds.items()}


def _seconds_until_painted(chromium: Any, address: str, sign: Sign) -> float:
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.add_init_script(f"({PAINTED})({json.dumps(sign)})")
    page.goto(address, wait_until="commit")
    page.wait_for_function("window.painted", timeout=60_000)
    seconds = page.evaluate("window.painted") / 1000
    page.close()
    return seconds
