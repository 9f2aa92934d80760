"""Writing new studies and new runs: the only place that writes study.json and recipe.json."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from tl_engine import machine
from tl_engine.errors import StoreError
from tl_engine.runs.evidence import of_store
from tl_engine.runs.layout import run_name
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.run import Run
from tl_engine.runs.shapes import records_in
from tl_engine.runs.study_folder import StudyFolder
from tl_engine.storage import atomic
from tl_engine.storage.lease import hold
from tl_engine.storage.locks import lease_of
from tl_engine.storage.record_files import FORMAT, now
from tl_engine.study import MAXIMUM_PAIRS, Seeds, Study


def create_study(root: Path, study: Study, threads: int | None = None) -> StudyFolder:
    """Write a study into the store at `root`, with its runs, each queued.

    Args:
        threads: that TensorFlow may use; None means as many as there are cores.
    """
    created = datetime.now().astimezone()
    path = root / f"{created:%Y%m%d-%H%M%S}-{_random_suffix()}"
    shared = {"threads": threads or os.cpu_count() or 1, "versions": machine.versions()}
    computed = of_store(root).seen_runs(study)
    question = {
        "study": study.to_dict(),
        "created": created.isoformat(timespec="seconds"),
        "datasets": study.datasets(),
    }

    def fill(folder: Path) -> None:
        record = {"format": FORMAT, "id": path.name, **shared, **question}
        records_in(folder).write("study.json", record)
        for arm, pair in study.runs():
            run = folder / run_name(arm, pair)
            atomic.make_folder(run)
            facts = {**shared, "study": path.name}
            facts["computed_before"] = (recipe_id(study.arms[arm].recipe), pair) in computed
            if pair == study.first_pair:  # a copy from which a damaged study.json can be read
                facts["of"] = question
            fill_run(run, study, arm, pair, facts)

    atomic.publish_folder(path, fill)
    return StudyFolder(path)


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


def _publish_runs(folder: StudyFolder, pairs: range) -> None:
    """Write the runs of these pairs that do not exist yet."""
    study, record = folder.study, folder.runs()[0].recipe_record
    shared = {name: record[name] for name in ("threads", "versions")}
    shared["study"] = folder.written_id
    added = replace(study, first_pair=pairs.start, pairs=len(pairs))
    computed = of_store(folder.path.parent).seen_runs(added)
    for pair in pairs:
        for arm in range(len(study.arms)):
            path = folder.path / run_name(arm, pair)
            if not path.exists():
                place = (recipe_id(study.arms[arm].recipe), pair)
                facts = {**shared, "added": now(), "computed_before": place in computed}
                fill = partial(fill_run, study=study, arm=arm, pair=pair, facts=facts)
                atomic.publish_folder(path, fill)


def fill_run(folder: Path, study: Study, arm: int, pair: int, facts: Mapping[str, Any]) -> None:
    """Write recipe.json of a new run, and queue it.

    Args:
        facts: its other fields: study, threads, versions and the like (see `shapes.Run`).
    """
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


def _random_suffix() -> str:
    """Four letters and digits, without those that people mistake for one another."""
    return "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4))
