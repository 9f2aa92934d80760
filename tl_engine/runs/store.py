"""A store: the folder of all studies, the queue of their runs, and what they share."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import IO, Any

from tl_engine import machine
from tl_engine.analysis.pooling import Asked
from tl_engine.errors import StoreError
from tl_engine.runs import ledger, phase_ends, test_access
from tl_engine.runs.evaluations import Evaluation, StudyEvaluation
from tl_engine.runs.evidence import Evidence, has_begun
from tl_engine.runs.layout import MEASUREMENTS, PhaseEndFacts, records_in, run_name
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.run import Run
from tl_engine.runs.run_requests import fill_run
from tl_engine.runs.run_state import RunState
from tl_engine.runs.studies import StudyFolder, StudyList
from tl_engine.runs.summary import Final, final_of, summarise
from tl_engine.storage import atomic, reading
from tl_engine.storage.cache import Cache
from tl_engine.storage.lease import Lease
from tl_engine.storage.locks import lease_of
from tl_engine.storage.record_files import FORMAT
from tl_engine.study import Study


class RunStore(StudyList):
    """The folder of all studies."""

    def __init__(self, root: Path | str = "runs") -> None:
        super().__init__(root)
        atomic.make_folder(self.root)

    def create(self, study: Study, *, threads: int | None = None) -> StudyFolder:
        """Write a study with its runs, each queued.

        Args:
            threads: that TensorFlow may use; None means as many as there are cores.
        """
        created = datetime.now().astimezone()
        path = self.root / f"{created:%Y%m%d-%H%M%S}-{_random_suffix()}"
        shared = {"threads": threads or os.cpu_count() or 1, "versions": machine.versions()}
        computed = Evidence(self).seen_runs(study)
        question = {
            "study": study.to_dict(),
            "created": created.isoformat(timespec="seconds"),
            "datasets": study.datasets(),
        }

        def fill(folder: Path) -> None:
            record = {"format": FORMAT, "id": path.name, **shared, **question}
            records_in(folder).write("study.json", record)
            for arm, pair in study.runs():
                run, place = folder / run_name(arm, pair), (recipe_id(study.arms[arm].recipe), pair)
                atomic.make_folder(run)
                facts = {**shared, "study": path.name, "computed_before": place in computed}
                if pair == study.first_pair:  # a copy from which a damaged study.json can be read
                    facts["of"] = question
                fill_run(run, study, arm, pair, facts)

        atomic.publish_folder(path, fill)
        return StudyFolder(path)

    def delete(self, study_id: str) -> None:
        """Delete a study with all its runs. What it asked, computed and read of the test set is
        written down first, so that deleting makes nothing unseen.

        Raises:
            StoreError: while one of its runs is running, or is evaluated.
        """
        study = self.study(study_id)
        # Before its runs are held: a run that is held looks as if it were training.
        line = self._ledger_line(study) if study.is_readable else None
        with contextlib.ExitStack() as held:
            runs = study.runs() if study.is_readable else []
            if not all([held.enter_context(run.hold()) for run in runs]):
                raise StoreError(f"{study.title} is running: stop it first, then delete it.")
            if any(StudyEvaluation(study, kind).is_alive for kind in Evaluation):
                raise StoreError(f"{study.title} is being measured: stop that first.")
            if line:
                ledger.add(self.root, line)
            atomic.delete_folder(study.path)

    def _ledger_line(self, study: StudyFolder) -> dict[str, Any] | None:
        """The ledger's line of a study; None where there is nothing to write down: no epoch was
        committed, no run failed or was stopped, no test image was read."""
        counted = list(filter(_is_counted, study.runs()))
        accesses = _accesses(study)
        if not counted and not accesses:
            return None
        evidence = Evidence(self)
        (question,) = (asked for asked in evidence.questions() if asked.study == study.id)
        return {
            "study": study.id,
            "title": study.title,
            "created": study.created.isoformat(),
            "recipes": [arm.recipe.to_dict() for arm in study.study.arms],
            "datasets": study.study.datasets(),
            "pairs": list(question.pairs),
            "metric": question.metric,
            "computed_before": _computed_before(evidence.with_seen(question)),
            "runs": list(map(_run_entry, counted)),
            "openings": accesses,
        }

    def next_waiting(self) -> Run | None:
        """The run to train next, queued or interrupted: oldest study first, in its order
        of training."""
        return next(self._waiting(), None)

    def _waiting(self) -> Iterator[Run]:
        for path in sorted(self.paths()):
            with contextlib.suppress(StoreError):  # listed as a study that cannot be read
                study = StudyFolder(path)
                if _may_wait(path) and study.is_readable:
                    yield from (run for run in study.runs_as_trained() if run.is_waiting)

    def sweep(self) -> None:
        """Remove temporary files of writers that died; for the worker, once."""
        atomic.sweep(self.root, live=True)

    @property
    def cache(self) -> Cache:
        """What was computed once and may be needed again."""
        return Cache(self.root)

    def cached_phase_ends(self) -> set[str]:
        """Names of the cached ends of phases that a machine like this one computed: those of
        others do not serve here."""
        here = machine.description().items()
        cached = self.cache.facts(phase_ends.KIND, PhaseEndFacts)
        return {name for name, facts in cached if here <= facts["environment"].items()}

    @property
    def worker_lease(self) -> Lease:
        """Held by the one worker that drains this store's queue."""
        return lease_of(self.root / "worker.lock")

    @property
    def training_lease(self) -> Lease:
        """Held by the one process that trains or evaluates."""
        return lease_of(self.root / "slot.lock")

    @property
    def measurement_lease(self) -> Lease:
        """Held by the one process that measures how long steps take."""
        return lease_of(self.root / "measure.lock")

    def open_worker_log(self) -> IO[bytes]:
        """Standard output and error of workers, to append to."""
        return atomic.open_log(self.root / "worker.txt")

    def add_measurement(self, measurement: dict[str, Any]) -> None:
        """Note how long steps took on this machine; see `layout.SHAPES`."""
        records_in(self.root).append(MEASUREMENTS, measurement)

    def measurements(self) -> list[dict[str, Any]]:
        """All measurements, oldest first; damaged lines are left out: nothing depends on them."""
        return records_in(self.root).readable_lines(MEASUREMENTS)


def _random_suffix() -> str:
    """Four letters and digits, without those that people mistake for one another."""
    return "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(4))


def _may_wait(study: Path) -> bool:
    """Whether a run in this folder may wait to be trained, found without opening a file."""
    runs = [e.path for e in reading.names_in(study) if e.name.startswith("arm")]
    return any(
        not os.path.lexists(f"{run}/outcome.json") or os.path.lexists(f"{run}/queued")
        for run in runs
    )


def _is_counted(run: Run) -> bool:
    """Whether the ledger has an entry of a run; one that was lost may have no epoch."""
    return has_begun(run) or summarise(run).state in (RunState.FAILED, RunState.STOPPED)


def _computed_before(question: Asked) -> list[tuple[int, int]]:
    """(arm, pair) of those of its runs that had been computed when it was asked."""
    places = product(enumerate(question.recipes), question.pairs)
    before = question.computed_before
    return [(arm, pair) for (arm, recipe), pair in places if (recipe, pair) in before]


def _accesses(study: StudyFolder) -> list[dict[str, Any]]:
    """Every access to the test set; of a damaged log, one access of all runs at an unknown time."""
    places = {run.path.name: (run.arm_index, run.pair) for run in study.runs()}
    try:
        accesses = test_access.read(study)
    except StoreError:
        return [{"at": "", "runs": sorted(places.values())}]
    return [
        {"at": access.at, "runs": sorted(places[name] for name in access.runs if name in places)}
        for access in accesses
    ]


def _run_entry(run: Run) -> dict[str, Any]:
    final, summary = final_of(run) or Final("", {}, ""), summarise(run)
    ended = {"state": summary.state.value, "sentence": summary.sentence}
    return {"recipe": run.arm_index, "pair": run.pair, **ended, **final._asdict()}
