"""Commands that train: run, clone, resume, stop, worker."""

import argparse
import dataclasses
import sys
import time

from tl_engine.cli.looking import summary
from tl_engine.cli.printing import number, say
from tl_engine.cli.study_options import study_from
from tl_engine.errors import StoreError
from tl_engine.execution.launcher import launch, launcher, resume
from tl_engine.execution.worker import drain
from tl_engine.runs import Run, RunState, RunStore
from tl_engine.runs.evidence import Evidence
from tl_engine.runs.run_requests import request_stop
from tl_engine.study import Study
from tl_engine.text import plain


def run(options: argparse.Namespace, store: RunStore) -> int:
    """Train a study and follow it to its end."""
    return _launch(options, store, study_from(options))


def clone(options: argparse.Namespace, store: RunStore) -> int:
    """Launch a study's question again, as a study of its own."""
    changes = {"title": options.title, "pairs": options.pairs}
    given = {name: value for name, value in changes.items() if value is not None}
    study = dataclasses.replace(store.study(options.study).study, **given)
    evidence = None if options.same_seeds else Evidence(store)
    if evidence and (seen := evidence.seen_runs(study)):
        study = dataclasses.replace(study, first_pair=evidence.fresh_pair(study))
        print(
            f"Fresh seeds, from pair {study.first_pair} on: {len(seen)} of the runs were computed "
            "before. --same-seeds repeats them.",
            file=sys.stderr,
        )
    return _launch(options, store, study)


def resume_runs(options: argparse.Namespace, store: RunStore) -> int:
    """Go on with a run, or all of a study that can, from the last commit."""
    resumed, refused = [], []
    for run in _to_resume(store, options.run):
        try:
            resume(run.id, store)
            resumed.append(store.run(run.id))
        except StoreError as error:
            refused.append(str(error))
    if not resumed:
        raise StoreError(" ".join(refused))
    for sentence in refused:
        print(sentence, file=sys.stderr)
    return _follow(options, store, resumed) or int(bool(refused))


def _to_resume(store: RunStore, wanted: str) -> list[Run]:
    """The run of that id, or those of the study that can go on."""
    runs = store.select([wanted])
    if "/" not in wanted:
        runs = [run for run in runs if run.state.is_resumable]
    if not runs:
        raise StoreError(
            f"Study {wanted} has no run to resume: none was stopped, failed or is damaged."
        )
    return runs


def stop(options: argparse.Namespace, store: RunStore) -> int:
    """Ask runs to stop at their next batch."""
    runs = store.select(options.ids)
    stopped = [run for run in runs if not run.state.is_over]
    for run in stopped:
        request_stop(run)
        print(f"{run.id} stops", file=sys.stderr)
    if not stopped:
        raise StoreError(_nothing_to_stop(runs))
    return 0


def _nothing_to_stop(runs: list[Run]) -> str:
    states = " or ".join(sorted({run.state.value for run in runs}))
    count = f"{len(runs)} run{'s are' if len(runs) != 1 else ' is'}"
    return f"Nothing to stop: {count} {states or 'there'} already."


def worker(options: argparse.Namespace, store: RunStore) -> int:
    """Train what is queued (started for you by run)."""
    drain(store, options.linger, options.lease)
    return 0


def _launch(options: argparse.Namespace, store: RunStore, study: Study) -> int:
    folder = launch(study, store)
    if options.detach:
        return say(options, {"study": folder.id}, f"Launched {folder.id}")
    print(f"{folder.id}: {plain(folder.title)}", file=sys.stderr)
    return _follow(options, store, folder.runs())


def _follow(options: argparse.Namespace, store: RunStore, runs: list[Run]) -> int:
    """Print epochs as they come, until every run is over; then how each ended."""
    printed = dict.fromkeys((run.id for run in runs), 0)
    while True:
        states = [run.state for run in runs]
        for run in runs:
            printed[run.id] += _print_epochs(run, printed[run.id])
        if all(state.is_over for state in states):
            return _print_ends(options, runs)
        launcher().ensure_worker(store)
        time.sleep(0.5)


def _print_epochs(run: Run, printed: int) -> int:
    """Print the epochs after so many; how many these are. A damaged run has none to print."""
    try:
        epochs, total = run.epochs()[printed:], run.recipe.total_epochs
    except StoreError:
        return 0
    for epoch in epochs:
        print(
            f"{plain(run.arm)}, pair {run.pair}: epoch {epoch['epoch']}/{total} "
            f"({epoch['trainable']}), validation accuracy {epoch['val_accuracy']:.1%}, "
            f"{epoch['seconds']:.1f} s",
            file=sys.stderr,
        )
    return len(epochs)


def _print_ends(options: argparse.Namespace, runs: list[Run]) -> int:
    """Print how each run ended; exit code 1 where one did not finish."""
    rows = [summary(run) for run in runs]
    unfinished = [row for row in rows if row["state"] != RunState.FINISHED.value]
    for row in unfinished:
        print(f"{row['run']} {row['state']}: {row['sentence']}", file=sys.stderr)
    lines = [
        f"{row['run']}  {plain(row['arm'])}: {number(row['val_accuracy'], '.1%')}" for row in rows
    ]
    say(options, {"study": runs[0].study.id, "runs": rows}, "\n".join(lines))
    return 1 if unfinished else 0
