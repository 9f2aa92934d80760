"""What people request: that a run is trained, stops, or is trained again; more pairs of a study."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tl_engine.errors import DamagedError, StoreError
from tl_engine.runs.evidence import of_store
from tl_engine.runs.layout import CHECKPOINT, QUARANTINE, REMAINING_FILES, records_in, run_name
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.run import Run, missing
from tl_engine.runs.run_state import RunState
from tl_engine.runs.studies import StudyFolder
from tl_engine.storage import atomic
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import lease_of
from tl_engine.storage.record_files import FORMAT, now
from tl_engine.study import MAXIMUM_PAIRS, Seeds, Study


def fill_run(folder: Path, study: Study, arm: int, pair: int, facts: Mapping[str, Any]) -> None:
    """Write recipe.json of a new run, and queue it; `facts` are its other fields: study, threads,
    versions and the like (see `layout.SHAPES`)."""
    recipe = study.arms[arm].recipe
    # The run outlives the registry's entry of its dataset.
    snapshot = {"dataset": recipe.snapshot.to_dict()} if recipe.snapshot else {}
    record = {
        "format": FORMAT,
        "recipe": recipe.to_dict(),
        "arm": study.arms[arm].name,
        "pair": pair,
        "seeds": Seeds.of_pair(pair)._asdict(),
        **snapshot,
        **facts,
    }
    records_in(folder).write("recipe.json", record)
    atomic.touch(folder / "queued")


def add_pairs(folder: StudyFolder, count: int) -> list[Run]:
    """Queue further pairs of every arm, with the same threads as the planned ones. A pair that a
    process that died added in part is completed first.

    Raises:
        StoreError: for fewer than 1, or more than a study may have in all; where another process
            adds some right now.
    """
    with hold(lease_of(folder.path / "pairs.lock")) as holding:
        if not holding:
            raise StoreError(f"Somebody is adding pairs to {folder.title} right now.")
        folder.forget_runs()  # another process may have added some since
        existing = folder.study.pairs + folder.added_pairs
        if not 1 <= count <= MAXIMUM_PAIRS - existing:
            raise StoreError(
                f"A study has at most {MAXIMUM_PAIRS} pairs: this one has {existing}, asked for "
                f"{count} more."
            )
        first, planned = folder.study.first_pair, folder.study.pair_numbers
        _publish_runs(folder, range(planned.stop, first + existing + count))
    folder.forget_runs()
    return [run for run in folder.runs() if run.pair >= first + existing]


def request_stop(run: Run) -> None:
    """Request that the worker stops the run at its next batch; a run that no process trains is
    stopped at once. StoreError for a run that is over."""
    state = run.state
    if state.is_over:
        raise StoreError(f"Run {run.id} cannot be stopped: it is {state.value} already.")
    _mark(run, "stop")
    with run.hold() as is_held:
        if is_held:  # else its process sees the request before its next batch
            atomic.remove(run.path / "queued")


def enqueue(run: Run) -> None:
    """Put the run into the queue: it continues from its last commit; StoreError for one that is
    queued, running or finished. A damaged run begins again, and its files are set aside in its
    folder quarantine/."""
    with run.hold() as is_held:
        state = run.observe(held_here=True).state if is_held else RunState.RUNNING
        if not state.is_resumable:
            raise StoreError(f"Run {run.id} cannot be resumed: it is {state.value}.")
        _ = run.recipe  # where that is damaged, nothing can begin again
        _mark(run, "queued")  # first of all: a full disk refuses it and changes nothing
        if state is RunState.DAMAGED:
            _set_aside(run)
        atomic.remove(run.path / "stop")
        atomic.remove(run.path / "outcome.json")


def _publish_runs(folder: StudyFolder, pairs: range) -> None:
    """Write the runs of these pairs that do not exist yet."""
    study, record = folder.study, folder.runs()[0].recipe_record
    shared = {name: record[name] for name in ("threads", "versions")}
    shared["study"] = folder.written_id
    added = replace(study, first_pair=pairs.start, pairs=len(pairs))
    computed = of_store(folder.path.parent).seen_runs(added)
    for arm, pair in added.runs():
        path, place = folder.path / run_name(arm, pair), (recipe_id(study.arms[arm].recipe), pair)
        if not path.exists():
            facts = {**shared, "added": now(), "computed_before": place in computed}
            fill = partial(fill_run, study=study, arm=arm, pair=pair, facts=facts)
            atomic.publish_folder(path, fill)


def _mark(run: Run, name: str) -> None:
    try:
        atomic.touch(run.path / name)
    except FileNotFoundError:
        raise missing(run) from None
    except atomic.NoFileError as error:
        raise DamagedError(run.path / name, error.what) from error


def _set_aside(run: Run) -> None:
    """Move the files that its processes wrote into quarantine/; the caller holds the lock."""
    quarantine = run.path / QUARANTINE
    if os.path.lexists(quarantine) and not quarantine.is_dir():
        raise DamagedError(quarantine, "it is not a folder")
    # The manifest last: a run without it would look new if this process died in between.
    for path in sorted(run.path.iterdir(), key=lambda path: path.name == CHECKPOINT):
        remains = path.name in REMAINING_FILES and path.is_file()
        if not remains and path.name != QUARANTINE:
            atomic.set_aside(path, quarantine)
