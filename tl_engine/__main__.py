"""`python -m tl_engine`: the engine without a browser."""

import sys

from tl_engine.cli import main

if __name__ == "__main__":
    sys.exit(main())
