"""The pages, from the command line: `thaw app`."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any, NoReturn

from tl_engine.cli.printing import add_command
from tl_engine.machine import RUNS_DIR, app_script
from tl_engine.runs import RunStore


def add_to(commands: Any) -> None:
    """Add this group's command."""
    made = add_command(commands, "app", app, "start the pages in a browser")
    made.description = "Start the pages. Other options are Streamlit's, such as --server.port 8600."
    made.set_defaults(accepts_more=True)


def app(options: argparse.Namespace, store: RunStore) -> NoReturn:
    """Become Streamlit's server, with the configuration that lies beside app.py."""
    words = [sys.executable, "-m", "streamlit", "run", str(app_script()), *options.more]
    os.execve(sys.executable, words, {**os.environ, RUNS_DIR: str(store.root)})  # noqa: S606
