"""Numbers in words, as pages and reports give them."""

from __future__ import annotations

from math import isnan


def duration(seconds: float | None) -> str:
    """Seconds in words: "8 s", "2 min 5 s", "3 h 20 min"."""
    if seconds is None:
        return ""
    if 0 < seconds < 0.5:
        return "less than 1 s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def about(seconds: float | None) -> str:
    """An estimate in words: "about 8 s", or "less than 1 s"."""
    words = duration(seconds)
    return f"about {words}" if words and not words.startswith("less") else words


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal; a dash for none and for one not measured."""
    return number(share, ".1%")


def points(share: float) -> str:
    """A difference of shares in percentage points; a dash for none."""
    return number(100 * share, "+.2f")


def number(value: float | None, form: str) -> str:
    """A number in a format; a dash for none and for one not measured."""
    return "–" if value is None or isnan(value) else format(value, form)
