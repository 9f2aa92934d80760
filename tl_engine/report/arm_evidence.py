"""Facts for the health check of a contrast, from the folders of its runs and from the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

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
from tl_engine.analysis.rule import Pairs
from tl_engine.errors import StoreError
from tl_engine.metric import Metric
from tl_engine.runs import Run, summarise
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.study_folder import folder_of
from tl_engine.storage.memory import FolderCache

MAXIMUM_KEPT = 5000
"""Runs of which the facts stay in memory."""


class Side(NamedTuple):
    """One arm of a contrast as evidence.

    Attributes:
        facts: of every run by pair: of several of one pair the one that counts.
        scores: by pair, of the finished runs that count.
        classes: of its dataset.
    """

    facts: Mapping[int, RunFacts]
    scores: Mapping[int, float]
    classes: int


def facts_of(title: str, runs: Sequence[Run]) -> dict[int, RunFacts]:
    """Of every run of an arm that its studies planned or somebody added, by pair; those whose
    folder is gone are missing. Of several of one pair one that finished counts.

    Args:
        runs: of one arm, at least one, of one or several studies.
    """
    facts: dict[int, RunFacts] = {}
    places = {(run.study.id, run.arm_index): folder_of(run) for run in runs}
    for (_, arm), folder in places.items():
        there = {run.pair: run for run in folder.runs() if run.arm_index == arm}
        for pair in sorted({*folder.study.pair_numbers, *there}):
            found = _facts(title, pair, there.get(pair))
            if pair not in facts or found.state == FINISHED:
                facts[pair] = found
    return facts


def facts_in_store(title: str, recipe: str, evidence: Evidence, data: str) -> dict[int, RunFacts]:
    """Of every run of a recipe in all studies of a store, deleted ones too, by pair: of several of
    one pair the finished one that counts as evidence, else the one that was lost.

    Args:
        title: what the arm is called.
        data: fingerprint of the images that are compared.
    """
    best: dict[int, Candidate] = {}
    for one in (*_standing(recipe, evidence, data), *_deleted(recipe, evidence, data)):
        known = best.get(one.pair)
        if known is None or one.rank < known.rank:
            best[one.pair] = one
    # Only of those that count more is read than what is in memory.
    return {pair: best[pair].facts(title) for pair in sorted(best)}


def with_lost(pairs: Pairs, first: Side, second: Side, metric: Metric) -> Pairs:
    """The pairs with those added in which a run was lost, at chance (`counted_at_chance`), judged
    by the same plan.

    Args:
        pairs: those of which both runs have a score.
    """
    sides, done = (first, second), first.scores.keys() & second.scores.keys()
    states = [{n: run.state for n, run in side.facts.items() if n not in done} for side in sides]
    lost = counted_at_chance(
        first.scores,
        second.scores,
        (states[0], states[1]),
        (_guess(first, sides, metric), _guess(second, sides, metric)),
        metric.sign,
    )
    if not len(lost):
        return pairs
    gains = np.concatenate([pairs.differences, lost])
    plan = pairs.planned_differences
    if plan is None and len(gains) == pairs.planned:  # with them all planned pairs are in
        plan = gains
    return pairs._replace(differences=gains, planned_differences=plan)


def _guess(side: Side, sides: Sequence[Side], metric: Metric) -> float:
    """What a lost run counts as: a guess, or the worst that finished where that is worse."""
    guess = chance_score(metric, side.classes)
    scores = [guess, *(score for one in sides for score in one.scores.values())]
    return min(scores) if metric.sign > 0 else max(scores)


WORST_LAST = (FINISHED, FAILED, COMING, STOPPED, DAMAGED, MISSING)
"""Which of several runs of one pair tells how it stands."""


class Candidate(NamedTuple):
    """One of several runs of a pair.

    Attributes:
        rank: the lowest counts: place of its state in WORST_LAST, whether its images are others,
            when it ended, study.
        run: None where its folder is gone.
        left: what the ledger tells of a deleted one, else None.
    """

    pair: int
    rank: tuple[int, bool, str, str]
    run: Run | None
    left: Mapping[str, Any] | None = None

    def facts(self, title: str) -> RunFacts:
        """What the health check sees of it."""
        if self.left is None:
            return _facts(title, self.pair, self.run)
        return RunFacts(title, self.pair, WORST_LAST[self.rank[0]], self.left["sentence"])


def _standing(recipe: str, evidence: Evidence, data: str) -> Iterator[Candidate]:
    for pair, run in evidence.standing(recipe):
        final = evidence.final(run) if run else None
        state = FINISHED if final else _state(run)
        place, study = WORST_LAST.index(state), run.study.id if run else ""
        other, ended = (final.data != data, final.ended) if final else (True, "")
        yield Candidate(pair, (place, other, ended, study), run)


def _deleted(recipe: str, evidence: Evidence, data: str) -> Iterator[Candidate]:
    for left in evidence.deleted(recipe):
        state = left["state"] if left["state"] in WORST_LAST else COMING
        rank = (WORST_LAST.index(state), left["data"] != data, left["ended"], left["study"])
        yield Candidate(left["pair"], rank, None, left)


def _state(run: Run | None) -> str:
    if run is None:
        return MISSING
    try:
        state = summarise(run).state.value
    except StoreError:
        return DAMAGED if os.path.isdir(run.path) else MISSING
    return state if state in (FINISHED, FAILED, STOPPED, DAMAGED) else COMING


def _facts(title: str, pair: int, run: Run | None) -> RunFacts:
    if run is None:
        return RunFacts(title, pair, MISSING)
    try:
        known = _kept.get(run.path, lambda: _read(run), lambda facts: facts.state == FINISHED)
    except FileNotFoundError:
        return RunFacts(title, pair, MISSING)
    return known._replace(arm=title)


_kept: FolderCache[RunFacts] = FolderCache(MAXIMUM_KEPT, ("recipe.json", *FACT_FILES))


def _read(run: Run) -> RunFacts:
    try:
        summary = summarise(run)
        state, sentence = summary.state.value, summary.sentence
        if state not in (FINISHED, FAILED, STOPPED, DAMAGED):
            return RunFacts("", run.pair, COMING)
        met = tuple(run.environments) if state == FINISHED else ()
        versions = run.recipe_record.get("versions", {})
    except StoreError as error:  # its folder went, or one of its files is not what was written
        is_there = os.path.isdir(run.path)
        return RunFacts("", run.pair, DAMAGED if is_there else MISSING, str(error))
    return RunFacts("", run.pair, state, sentence, met, versions)
