"""The command line: the same engine without a browser, one file per group of commands.

`entry` has the table of commands, runs one and turns what it raises into sentences and exit codes;
`study_options` reads a study from options; `printing` prints; every other file holds commands. It
may import everything but `ui`, and `learning` only inside functions.
"""

from tl_engine.cli.entry import main
from tl_engine.cli.study_options import study_from

__all__ = ["main", "study_from"]
