"""What a list of runs says about one of them; cheap to ask of thousands."""

from __future__ import annotations

from typing import Any, NamedTuple

from tl_engine.errors import StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs.heartbeat import Heartbeat
from tl_engine.runs.run import READ, Best, Facts, Run, RunState, best_of
from tl_engine.runs.times import Times, times_of, total_of
from tl_engine.storage.memory import Kept


class Summary(NamedTuple):
    """A run in a line.

    Attributes:
        recipe: None where it cannot be read.
        accuracies: validation accuracy after each epoch.
        phase: index of the phase of the last epoch.
        times: what it took so far.
        progress: where its process is; empty unless it is alive.
    """

    state: RunState
    sentence: str
    recipe: Recipe | None
    accuracies: tuple[float, ...] = ()
    phase: int = 0
    times: Times = Times()
    progress: dict[str, Any] = {}  # noqa: RUF012 - nobody writes into it

    @property
    def last(self) -> float | None:
        """Validation accuracy after the last epoch."""
        return self.accuracies[-1] if self.accuracies else None

    @property
    def best(self) -> Best | None:
        """The highest validation accuracy and the first epoch that reached it."""
        return best_of(self.accuracies)


def summarise(run: Run) -> Summary:
    """The run's summary; of a run that is over it is kept until its folder changes.

    Raises:
        StoreError: where the run is gone.
    """
    try:
        return _kept.get(run.path, lambda: _read(run), _lasts)
    except FileNotFoundError:
        raise StoreError(f"There is no run {run.id} any more: somebody deleted it.") from None


_kept: Kept[Summary] = Kept(files=("recipe.json", *READ))
_same: dict[Recipe, Recipe] = {}
"""One recipe for all runs that have it."""


def _lasts(summary: Summary) -> bool:
    # A damaged file may be put back in place, which its folder does not tell.
    return summary.state.is_over and summary.state is not RunState.DAMAGED


def _read(run: Run) -> Summary:
    state, sentence, facts = run.observe()
    beat = run.heartbeat if state.is_alive else None
    progress = beat.progress if beat else {}
    if facts is None:
        return Summary(state, sentence, _recipe(run), progress=progress)
    times = times_of(facts.epochs, _total(run, facts, beat))
    accuracies = tuple(epoch["val_accuracy"] for epoch in facts.epochs)
    phase = facts.epochs[-1]["phase"] if facts.epochs else 0
    recipe = _same.setdefault(run.recipe, run.recipe)
    return Summary(state, sentence, recipe, accuracies, phase, times, progress)


def _total(run: Run, facts: Facts, beat: Heartbeat | None) -> float | None:
    """What all its processes took; of many runs that are over their outcome says it."""
    if "total_seconds" in facts.outcome:
        return total_of(facts.outcome, None, ())
    beat = beat or run.heartbeat
    attempts = run.attempts() if facts.outcome else ()
    return total_of(facts.outcome, beat.spent if beat else None, attempts)


def _recipe(run: Run) -> Recipe | None:
    try:
        return run.recipe
    except StoreError:
        return None
