"""How an arm looks and what it is called: the same in every chart of a page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from textwrap import wrap
from typing import NamedTuple, TypeVar

import pandas as pd

from tl_engine.charts.colours import ARMS
from tl_engine.text import MAXIMUM_LABEL, counted, markup, plain

DASHES, SYMBOLS = ("solid", "dot", "dashdot"), ("circle", "diamond-open", "cross")
"""What tells arms of one colour apart in curves and scores: the first eight, the next, the next."""
NAMED_ARMS = 24
"""Up to so many arms are named on a chart; of more, each shows its name when it is touched."""
Key = TypeVar("Key", bound=Hashable)
ArmKey = tuple[str, str]
"""An arm among several studies: (study id, arm name)."""


class ArmStyle(NamedTuple):
    """How an arm is drawn.

    Attributes:
        title: what the page calls it, not escaped.
        colour: hex.
    """

    title: str
    colour: str

    @property
    def name(self) -> str:
        """The title, escaped."""
        return markup(self.title)


class ArmRows(NamedTuple):
    """An arm of a frame.

    Attributes:
        name: what the chart calls it, escaped.
        colour, dash, symbol: of its lines and points.
        rows: those of the frame that belong to it.
    """

    key: ArmKey
    name: str
    colour: str
    dash: str
    symbol: str
    rows: pd.DataFrame


def arms_in(frame: pd.DataFrame, page: Sequence[ArmKey] = ()) -> list[ArmRows]:
    """The arms of a frame (columns study and arm), in order of appearance.

    Args:
        page: all arms of the page in its order: by them looks are given, so that an arm keeps its
            own where others have nothing to draw.
    """
    keys = list(dict.fromkeys(zip(frame["study"], frame["arm"], strict=True)))
    rows, names = dict(iter(frame.groupby(["study", "arm"]))), arm_names(keys)
    places = {key: place for place, key in enumerate(dict.fromkeys([*page, *keys]))}
    colours = arm_colours(places)
    cycles = {key: place // len(ARMS) % len(DASHES) for key, place in places.items()}
    return [
        ArmRows(key, names[key], colours[key], DASHES[n], SYMBOLS[n], rows[key])
        for key, n in ((key, cycles[key]) for key in keys)
    ]


def of_arm(rows: pd.DataFrame, key: ArmKey) -> pd.DataFrame:
    """The rows (columns study and arm) of one arm."""
    return rows[(rows["study"] == key[0]) & (rows["arm"] == key[1])]


def arm_colours(keys: Iterable[Key]) -> dict[Key, str]:
    """A colour per arm, in order of appearance; they repeat after eight."""
    return {key: ARMS[i % len(ARMS)] for i, key in enumerate(dict.fromkeys(keys))}


def arm_names(keys: Sequence[ArmKey], letters: int | None = None) -> dict[ArmKey, str]:
    """What to call each arm: its name, on a line of its own its study's id where two share a name.

    Args:
        letters: of a line, where a name may take two; None means one line.
    """
    arms = Counter(arm for _, arm in keys)
    return {
        (study, arm): (wrapped(arm, letters) if letters else markup(arm))
        + (f"<br>({markup(study, letters or MAXIMUM_LABEL)})" if arms[arm] > 1 else "")
        for study, arm in keys
    }


def wrapped(name: str, letters: int = 16, lines: int = 2) -> str:
    """A name on several short lines, for beneath a point; cut with an ellipsis."""
    parts = wrap(plain(name), letters, max_lines=lines, placeholder="…", break_on_hyphens=False)
    return "<br>".join(map(markup, parts))


def seeds_of(rows: pd.DataFrame, column: str = "run") -> str:
    """How many seeds the arms of these rows have, in words.

    Args:
        column: what tells one seed of an arm from another.
    """
    return seeds_words(rows.groupby(["study", "arm"])[column].nunique())


def seeds_words(seeds: Iterable[int]) -> str:
    """How many seeds the arms have: "3 seeds per arm", "1 to 3 seeds per arm"."""
    counts = sorted(set(seeds)) or [0]
    first = f"{counts[0]} to " if len(counts) > 1 else ""
    return f"{first}{counted(counts[-1], 'seed')} per arm"
