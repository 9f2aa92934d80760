"""Facts for the health check of a contrast, from the folders of its runs."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from tl_engine.analysis.health import (
    COMING,
    DAMAGED,
    FAILED,
    FINISHED,
    MISSING,
    STOPPED,
    RunFacts,
    chance_score,
    counted_at_chance,
)
from tl_engine.catalog.datasets import dataset
from tl_engine.errors import StoreError
from tl_engine.metric import Metric
from tl_engine.runs import Run, summarise

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def facts_of(title: str, runs: Sequence[Run]) -> list[RunFacts]:
    """A row per run of an arm that was planned or added, pair by pair; those whose folder is gone
    are missing, those that nobody chose are there. Of runs of the same pair in several studies one
    that finished counts.

    Args:
        runs: of one arm, at least one, of one or several studies.
    """
    facts: dict[int, RunFacts] = {}
    places = {(run.study.id, run.arm_index): run.study for run in runs}
    for (_, arm), folder in places.items():
        there = {run.pair: run for run in folder.runs() if run.arm_index == arm}
        for pair in sorted({*folder.study.pair_numbers, *there}):
            found = _facts(title, pair, there.get(pair))
            if pair not in facts or found.state == FINISHED:
                facts[pair] = found
    return [facts[pair] for pair in sorted(facts)]


def gains_at_chance(
    runs: tuple[Run, Run],
    facts: tuple[Sequence[RunFacts], Sequence[RunFacts]],
    scores: tuple[pd.Series, pd.Series],
    done: Collection[int],
    metric: Metric,
) -> np.ndarray:
    """Gains (n,) of the first arm in the pairs of which a run was lost, at chance
    (`counted_at_chance`).

    Args:
        runs: one of each arm.
        facts: of each arm's runs.
        scores: each arm's final scores by pair.
        done: pairs of which both runs have a score.
    """
    states = [{run.pair: run.state for run in ours if run.pair not in done} for ours in facts]
    guesses = [chance_score(metric, len(dataset(run.recipe.dataset).class_names)) for run in runs]
    known = [dict(zip(one.index.astype(int), one.astype(float), strict=True)) for one in scores]
    return counted_at_chance(
        known[0], known[1], (states[0], states[1]), (guesses[0], guesses[1]), metric.sign
    )


def _facts(title: str, pair: int, run: Run | None) -> RunFacts:
    if run is None:
        return RunFacts(title, pair, MISSING)
    try:
        summary = summarise(run)
        state, sentence = summary.state.value, summary.sentence
        if state not in (FINISHED, FAILED, STOPPED, DAMAGED):
            return RunFacts(title, pair, COMING)
        met = tuple(run.environments) if state == FINISHED else ()
        versions = run.asked.get("versions", {})
    except StoreError as error:  # its folder went, or one of its files is not what was written
        is_there = os.path.isdir(run.path)
        return RunFacts(title, pair, DAMAGED if is_there else MISSING, str(error))
    return RunFacts(title, pair, state, sentence, met, versions)
