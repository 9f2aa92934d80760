"""A run's summary: what lists and comparisons show of it, cached for thousands of runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tl_engine.errors import StoreError
from tl_engine.metric import METRICS
from tl_engine.recipe import Recipe
from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.run import Run, missing
from tl_engine.runs.run_state import Facts, RunState
from tl_engine.storage.memory import FolderCache


class Best(NamedTuple):
    """The highest validation accuracy so far and the first epoch that reached it."""

    accuracy: float
    epoch: int


class Times(NamedTuple):
    """The times of a run so far, in seconds (docs/glossary.md explains them to users); None where
    nothing was measured.

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


class Final(NamedTuple):
    """A finished run as evidence.

    Attributes:
        ended: UTC, as text that sorts.
        scores: after the last epoch, by metric.
        data: fingerprint of its images; empty where it was not noted.
    """

    ended: str
    scores: dict[str, float]
    data: str


class Summary(NamedTuple):
    """A run in a line.

    Attributes:
        recipe: None where it cannot be read.
        accuracies: validation accuracy after each epoch.
        phase: index of the phase of the last epoch.
        times: of its processes so far.
        progress: of its process, see `Heartbeat`; empty unless one is alive.
        computed_before: whether it was computed elsewhere when it was created; None where an
            earlier version did not note it.
        final: of a finished run.
    """

    state: RunState
    sentence: str
    recipe: Recipe | None
    accuracies: tuple[float, ...] = ()
    phase: int = 0
    times: Times = Times()
    progress: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into it
    computed_before: bool | None = True
    final: Final | None = None

    @property
    def last(self) -> float | None:
        """Validation accuracy after the last epoch."""
        return self.accuracies[-1] if self.accuracies else None

    @property
    def best(self) -> Best | None:
        """The highest validation accuracy; None before the first epoch."""
        if not self.accuracies:
            return None
        top = max(self.accuracies)
        return Best(top, self.accuracies.index(top) + 1)


def summarise(run: Run) -> Summary:
    """The run's summary; that of a run that is over is cached until its folder changes. StoreError
    where the run is gone."""
    try:
        return _cached.get(run.path, lambda: _read(run), _lasts)
    except FileNotFoundError:
        raise missing(run) from None


def final_of(run: Run) -> Final | None:
    """A finished run as evidence; None of any other, or of one that is not what was written."""
    if not os.path.exists(run.path / "outcome.json"):  # spares reading those in the queue
        return None
    try:
        return summarise(run).final
    except (StoreError, OSError):
        return None


def times_of(epochs: Sequence[Mapping[str, Any]], total: float | None) -> Times:
    """The times of a run with these epochs (lines of its history) and this total."""
    if not epochs:
        return Times(total=total)
    spent = [float(epoch["seconds"]) for epoch in epochs]
    cold = [float(epoch.get("cold_seconds", epoch["seconds"])) for epoch in epochs]
    return Times(sum(spent), sum(cold), total)


def total_of(
    outcome: Mapping[str, Any], spent: float | None, attempts: Sequence[Mapping[str, Any]]
) -> float | None:
    """Seconds of all processes of a run; None before the first, and where an earlier version did
    not note the times of several.

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
    Arguments as those of `total_of`."""
    noted = attempts[-1].get("before") if attempts else 0.0
    found = (noted, total_of(outcome, spent, attempts))
    return max((seconds for seconds in found if seconds is not None), default=None)


def utc(time: datetime) -> str:
    """A time of any zone as text that sorts."""
    return time.astimezone(UTC).isoformat()


_cached: FolderCache[Summary] = FolderCache(files=("recipe.json", *FACT_FILES))
_recipes: dict[Recipe, Recipe] = {}
"""One object per recipe, however many runs have it."""


def _lasts(summary: Summary) -> bool:
    # A damaged file may be put back in place, which its folder does not show.
    return summary.state.is_over and summary.state is not RunState.DAMAGED


def _read(run: Run) -> Summary:
    state, sentence, facts = run.observe()
    beat = run.heartbeat if state.is_alive else None
    progress = beat.progress if beat else {}
    if facts is None:
        try:
            recipe, before = run.recipe, run.recipe_record.get("computed_before")
        except StoreError:
            recipe, before = None, True
        return Summary(state, sentence, recipe, progress=progress, computed_before=before)
    return Summary(
        state,
        sentence,
        recipe=_recipes.setdefault(run.recipe, run.recipe),
        accuracies=tuple(epoch["val_accuracy"] for epoch in facts.epochs),
        phase=facts.epochs[-1]["phase"] if facts.epochs else 0,
        times=times_of(facts.epochs, _total_seconds(run, facts, beat)),
        progress=progress,
        computed_before=run.recipe_record.get("computed_before"),
        final=_final(facts) if state is RunState.FINISHED else None,
    )


def _final(facts: Facts) -> Final | None:
    if not facts.epochs:
        return None
    last, environments = facts.epochs[-1], facts.environments
    scores = {name: last[name] for name in METRICS if last.get(name) is not None}
    data = environments[-1]["fingerprint"] if environments else ""
    try:
        return Final(utc(datetime.fromisoformat(facts.outcome["ended"])), scores, data)
    except (ValueError, OverflowError):
        return None


def _total_seconds(run: Run, facts: Facts, beat: Heartbeat | None) -> float | None:
    if "total_seconds" in facts.outcome:  # as in most runs that are over: nothing else is read
        return facts.outcome["total_seconds"]
    beat = beat or run.heartbeat
    attempts = run.attempts() if facts.outcome else ()
    return total_of(facts.outcome, beat.spent if beat else None, attempts)
