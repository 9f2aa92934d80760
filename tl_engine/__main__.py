"""`thaw`, or `python -m tl_engine`: the engine without a browser."""

import io
import sys

from tl_engine.cli import main


def run() -> int:
    """Run one command of this process's command line; its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name need not be made of characters
        sys.stdout.reconfigure(errors="backslashreplace")
    return main()


if __name__ == "__main__":
    sys.exit(run())
