"""A real Streamlit server and a real Chromium, for browser tests and measurements."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[1]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
"""Chromium's flags: without the last four it keeps calling home."""


@contextmanager
def server(
    runs: Path, script: Path = PROJECT / "app.py", log: Path | None = None, **options: object
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run the app on a free port: its address, and its process.

    Args:
        log: a file for what the process prints.
        options: Streamlit's own, with `_` for `.`: `secrets_files="..."`.
    """
    port = options.setdefault("server_port", free_port())
    with open(log or os.devnull, "wb") as printed:
        process = subprocess.Popen(
            streamlit(script, **options),
            cwd=PROJECT,
            env={**os.environ, "THAW_RUNS_DIR": str(runs)},
            stdout=printed,
            stderr=printed,
        )
    name = "[::1]" if options.get("server_address") == "::1" else "127.0.0.1"
    address = f"http://{name}:{port}"
    try:
        wait_for(address, process)
        yield address, process
    finally:
        process.terminate()
        process.wait(10)


def streamlit(script: Path = PROJECT / "app.py", **options: object) -> list[str]:
    """The command that runs a script."""
    flags = [f"--{name.replace('_', '.')}={value}" for name, value in options.items()]
    return [sys.executable, "-m", "streamlit", "run", str(script), *flags]


def free_port() -> int:
    """A port of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        try:
            yield chromium
        finally:
            chromium.close()


def wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; fail where its process ends or a minute has passed."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{address}/_stcore/health") as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        if process.poll() is not None:
            break
    raise RuntimeError(f"The server at {address} did not start.")
