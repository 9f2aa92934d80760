"""The three times of a run, in seconds (docs/glossary.md explains them to users)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Times(NamedTuple):
    """The times of a run so far, in seconds; None where nothing was measured.

    Attributes:
        training: the sum of its epochs' seconds, with what their phase computed once for them; an
            epoch that was copied from another run counts 0.
        cold: the same, if nothing had been computed before by this run or another.
        total: of all its processes, each from when it took the run to its end or, where it died, to
            its last heartbeat. Waiting for a worker is left out, waiting for a full disk is not.
    """

    training: float | None = None
    cold: float | None = None
    total: float | None = None


def times_of(epochs: Sequence[Mapping[str, Any]], total: float | None) -> Times:
    """The times of a run.

    Args:
        epochs: its history's lines.
        total: see `total_of`.
    """
    if not epochs:
        return Times(total=total)
    spent = [float(epoch["seconds"]) for epoch in epochs]
    cold = [float(epoch.get("cold_seconds", epoch["seconds"])) for epoch in epochs]
    return Times(sum(spent), sum(cold), total)


def total_of(
    outcome: Mapping[str, Any], spent: float | None, attempts: Sequence[Mapping[str, Any]]
) -> float | None:
    """The total time of a run; None before its first process, and where an earlier version did not
    note the times of several processes.

    Args:
        outcome: how it ended; empty while it has not.
        spent: seconds of all its processes so far, from its last heartbeat.
        attempts: its processes; see `Run.attempts`.
    """
    if "total_seconds" in outcome:
        return outcome["total_seconds"]
    if outcome and len(attempts) <= 1:  # written by an earlier version
        return outcome.get("seconds")
    return spent


def spent_before(
    outcome: Mapping[str, Any], spent: float | None, attempts: Sequence[Mapping[str, Any]]
) -> float | None:
    """Seconds of all earlier processes of a run that a process takes now; None where unknown.

    Args:
        outcome, spent, attempts: as those of `total_of`.
    """
    noted = attempts[-1].get("before") if attempts else 0.0
    total = total_of(outcome, spent, attempts)
    found = [seconds for seconds in (noted, total) if seconds is not None]
    if total is None and attempts and "before" not in attempts[-1]:
        return None
    return max(found, default=None)
