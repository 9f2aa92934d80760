"""Facts for the health check of a contrast, from the folders of its runs and from the ledger."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tl_engine.analysis.health import (
    COMING,
    DAMAGED,
    FAILED,
    FINISHED,
    MISSING,
    STOPPED,
    RunFacts,
)
from tl_engine.errors import StoreError
from tl_engine.runs import Run, summarise
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.layout import FACT_FILES
from tl_engine.runs.studies import folder_of
from tl_engine.storage.memory import FolderCache

MAXIMUM_CACHED = 5000
"""Runs of which the facts stay in memory."""
WORST_LAST = (FINISHED, FAILED, COMING, STOPPED, DAMAGED, MISSING)
"""States of runs of one pair: the first that occurs is the state of the pair."""


def facts_of(title: str, runs: Sequence[Run]) -> dict[int, RunFacts]:
    """Of every run of an arm that its studies planned or somebody added, by pair; those whose
    folder is gone are missing. Of several of one pair one that finished counts.

    Args:
        runs: of one arm, at least one, of one or several studies.
    """
    by_pair: dict[int, RunFacts] = {}
    folders = {(run.study.id, run.arm_index): folder_of(run) for run in runs}
    for (_, arm), folder in folders.items():
        of_arm = {run.pair: run for run in folder.runs() if run.arm_index == arm}
        for pair in sorted({*folder.study.pair_numbers, *of_arm}):
            facts = _facts(title, pair, of_arm.get(pair))
            if pair not in by_pair or facts.state == FINISHED:
                by_pair[pair] = facts
    return by_pair


def facts_in_store(title: str, recipe: str, evidence: Evidence, data: str) -> dict[int, RunFacts]:
    """Of every run of a recipe in all studies of a store, deleted ones too, by pair: of several of
    one pair the finished one that counts as evidence, else the one that was lost.

    Args:
        title: what the arm is called.
        data: fingerprint of the images that are compared.
    """
    best: dict[int, _Candidate] = {}
    for run in (*_standing(recipe, evidence, data), *_deleted(recipe, evidence, data)):
        if run.pair not in best or run.rank < best[run.pair].rank:
            best[run.pair] = run
    # Only of those that count more is read than what is in memory.
    return {pair: best[pair].facts(title) for pair in sorted(best)}


class _Candidate(NamedTuple):
    """One of several runs of a pair.

    Attributes:
        rank: the lowest counts: place of its state in WORST_LAST, whether its images are others,
            when it ended, study.
        run: None where its folder is gone.
        record: of the ledger of deleted studies; None of a run that was not deleted.
    """

    pair: int
    rank: tuple[int, bool, str, str]
    run: Run | None
    record: Mapping[str, Any] | None = None

    def facts(self, title: str) -> RunFacts:
        """What the health check sees of it."""
        if self.record is None:
            return _facts(title, self.pair, self.run)
        return RunFacts(title, self.pair, WORST_LAST[self.rank[0]], self.record["sentence"])


def _standing(recipe: str, evidence: Evidence, data: str) -> Iterator[_Candidate]:
    for pair, run in evidence.standing(recipe):
        final = evidence.final(run) if run else None
        state = FINISHED if final else _state(run)
        place, study = WORST_LAST.index(state), run.study.id if run else ""
        other, ended = (final.data != data, final.ended) if final else (True, "")
        yield _Candidate(pair, (place, other, ended, study), run)


def _deleted(recipe: str, evidence: Evidence, data: str) -> Iterator[_Candidate]:
    for record in evidence.deleted({recipe}):
        state = record["state"] if record["state"] in WORST_LAST else COMING
        rank = (WORST_LAST.index(state), record["data"] != data, record["ended"], record["study"])
        yield _Candidate(record["pair"], rank, None, record)


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
        facts = _cached.get(run.path, lambda: _read(run), lambda facts: facts.state == FINISHED)
    except FileNotFoundError:
        return RunFacts(title, pair, MISSING)
    return facts._replace(arm=title)


_cached: FolderCache[RunFacts] = FolderCache(MAXIMUM_CACHED, ("recipe.json", *FACT_FILES))


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
