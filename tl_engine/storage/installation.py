"""Where the files of this Thaw are, and which folder of runs it uses by default.

In a checkout the pages lie beside `tl_engine`. A wheel puts them into a folder `thaw` beside it, so
that no name as common as `ui` or `pages` is taken among the installed packages.
"""

from __future__ import annotations

import os
from pathlib import Path

RUNS_DIR = "THAW_RUNS_DIR"
"""Environment variable: the folder of studies."""
PARENT = Path(__file__).resolve().parents[2]
"""The folder that holds `tl_engine`."""


def is_checkout(parent: Path = PARENT) -> bool:
    """Whether this is the repository, and not an installed wheel."""
    return not (parent / "thaw" / "app.py").is_file()


def app_script(parent: Path = PARENT) -> Path:
    """The script that Streamlit runs; pages/, ui/ and .streamlit/ lie beside it."""
    return (parent if is_checkout(parent) else parent / "thaw") / "app.py"


def default_runs_folder(parent: Path = PARENT) -> Path:
    """The folder of studies for app and command line alike: what THAW_RUNS_DIR says, else `runs`
    in the checkout, else a folder of the user's own data (XDG Base Directory Specification)."""
    if wanted := os.environ.get(RUNS_DIR):
        return Path(wanted)
    if is_checkout(parent):
        return parent / "runs"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "thaw" / "runs"
