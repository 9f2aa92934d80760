"""Everything the engine refuses, as one tree below ThawError.

Every message is for people: what is wrong, what was given, what would be right.
Pages and the command line show ``str(error)`` as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class ThawError(Exception):
    """Base of all refusals; anything else that is raised is a bug."""


class Problem(NamedTuple):
    """One refused field: its path (``"image_size"``, ``"phases.0.epochs"``) and a sentence."""

    field: str
    sentence: str


class RecipeError(ThawError):
    """A recipe or study that cannot be trained.

    Attributes:
        problems: every refused field, in the order of the form; never empty.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(" ".join(problem.sentence for problem in self.problems))


RECIPE_ERRORS = (RecipeError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError)
"""What reading a recipe or study raises that no Thaw wrote."""


class CatalogError(ThawError):
    """A name that is not in the catalog; the message lists the names that are."""


class DataUnavailable(ThawError):  # noqa: N818 - says what it is
    """Images that are neither on this machine nor to be fetched; names the file and its place."""


class WeightsUnavailable(ThawError):  # noqa: N818 - likewise
    """Weights that are neither on this machine nor to be fetched; names the file and its place."""


class ImageError(ThawError):
    """Bytes that are no picture, or one beyond the limits."""


class StoreError(ThawError):
    """A study or run that is unknown, unreadable, or in a state that forbids the request."""


class DamagedError(StoreError):
    """A file under runs/ that is missing, unreadable, or not what was written.

    Attributes:
        path: the file.
    """

    SENTENCE = "{where} is damaged: {why}."

    def __init__(self, path: Path, why: str) -> None:
        self.path = path
        where = f"{shown(path.parent.name)}/{shown(path.name)}"
        super().__init__(self.SENTENCE.format(where=where, why=why))


class ClosedError(DamagedError):
    """A file or folder under runs/ that this account may not open. It is not damaged, and nothing
    can be said of it until the account may."""

    ADVICE = "give this account the right to, or use the one that made it"
    SENTENCE = f"{{where}} cannot be opened ({{why}}): {ADVICE}."


class PredictionError(ThawError):
    """A run whose model cannot classify, or a predictor process that gave no answer."""


class ComparisonError(ThawError):
    """Runs that cannot be set side by side; says in what they differ."""


def shown(name: str) -> str:
    """A file's name as it can be printed: what is no UTF-8 or no visible sign becomes "?"."""
    return "".join(sign if sign.isprintable() else "?" for sign in name)


def sentence_about(error: Exception) -> str:
    """One sentence about an error that nobody foresaw, at most 500 characters."""
    return f"{type(error).__name__}: {error}"[:500]
