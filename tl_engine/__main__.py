"""`python -m tl_engine`: the engine without a browser."""

import io
import sys

from tl_engine.cli import main

if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name need not be made of characters
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
