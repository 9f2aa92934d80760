"""Commands that look: list, and show for a run or a study."""

import argparse
import sys
from typing import Any

from tl_engine.cli.comparing import verdicts_of
from tl_engine.cli.printing import number, print_json, print_table
from tl_engine.errors import ClosedError, StoreError
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunState, RunStore, StudyFolder, ledger, summarise
from tl_engine.runs.run_outputs import bytes_on_disk, log_tail
from tl_engine.text import counted, lines, plain

TIMES = {"training": "training time (s)", "cold": "cold time (s)", "total": "total time (s)"}
"""Times of `runs.summary.Times`, with their names in words."""
EPOCH_COLUMNS = (
    *("epoch", "trainable", "learning_rate", "seconds"),
    *("loss", "accuracy", "val_loss", "val_accuracy"),
)


def list_runs(options: argparse.Namespace, store: RunStore) -> int:
    """Every run and how it stands."""
    _print_damage(store)
    rows = [summary(run) for run in store.runs()]
    if options.json:
        return print_json(rows)
    if not rows:
        print("No runs yet: start with `python -m tl_engine run --preset try-it`.")
    _print_runs(rows)
    return 0


def _print_damage(store: RunStore) -> None:
    for study in [*store.unreadable(), *store.studies()]:
        if study.damage:
            print(f"{study.id}: {study.damage}", file=sys.stderr)
    if ledger.read(store.root).is_damaged:
        print(f"{ledger.DAMAGED}: all runs count as computed before.", file=sys.stderr)


def show(options: argparse.Namespace, store: RunStore) -> int:
    """One run, epoch by epoch; or a study: its question, runs and verdicts."""
    if "/" in options.id:
        return _show_run(options, store.run(options.id))
    return _show_study(options, store.study(options.id))


def summary(run: Run) -> dict[str, Any]:
    """One run in a line; its times are those of `runs.summary.Times`, in seconds."""
    found = summarise(run)
    return {
        "run": run.id,
        "study": run.study.title,
        "arm": run.arm,
        "pair": run.pair,
        "order": found.recipe.order if found.recipe else None,
        "state": found.state.value,
        "sentence": found.sentence,
        "epoch": len(found.accuracies),
        "epochs": found.recipe.total_epochs if found.recipe else None,
        "val_accuracy": found.last,
        "best": found.best.accuracy if found.best else None,
        "best_epoch": found.best.epoch if found.best else None,
        **{f"{name}_seconds": value for name, value in found.times._asdict().items()},
    }


def _print_runs(rows: list[dict[str, Any]]) -> None:
    print_table(
        [
            {
                "run": row["run"],
                "arm": row["arm"],
                "state": row["state"],
                "epoch": f"{row['epoch']}/{number(row['epochs']) or '?'}",
                "validation accuracy": number(row["val_accuracy"], ".1%"),
                "best (epoch)": f"{row['best']:.1%} ({row['best_epoch']})" if row["epoch"] else "",
                **{words: number(row[f"{name}_seconds"], ".1f") for name, words in TIMES.items()},
            }
            for row in rows
        ]
    )


def _show_run(options: argparse.Namespace, run: Run) -> int:
    """Print the recipe, every epoch, the scores, the audit."""
    line = summary(run)
    if line["state"] == RunState.DAMAGED.value:
        if ClosedError.ADVICE in line["sentence"]:
            raise StoreError(line["sentence"])
        raise StoreError(
            f"Run {run.id} is damaged. {line['sentence']} `python -m tl_engine resume {run.id}` "
            "begins it again and keeps what is damaged aside."
        )
    if not options.json:
        _print_run(run, line)
        return 0
    return print_json(
        {
            **line,
            "asked": run.recipe_record,
            "environments": run.environments,
            "bit_comparable": run.is_bit_comparable,
            "bytes_on_disk": bytes_on_disk(run),
            "history": run.epochs(),
            "scores": run.scores,
        }
    )


def _print_run(run: Run, line: dict[str, Any]) -> None:
    print(f"{run.id}: {plain(run.study.title)}, {plain(run.arm)}, pair {run.pair}")
    print(f"{line['state']}. {line['sentence']}".rstrip())
    times = {words: number(line[f"{name}_seconds"], ".1f") for name, words in TIMES.items()}
    print(*(f"{words} {seconds or '–'}" for words, seconds in times.items()), sep=", ")
    print(*(f"  {name}: {value}" for name, value in _settings(run.recipe).items()), sep="\n")
    print_table([{name: number(epoch[name]) for name in EPOCH_COLUMNS} for epoch in run.epochs()])
    for phase in run.scores.get("phases", []):
        audit = phase["audit"]
        print(
            f"phase {phase['phase'] + 1} ({phase['trainable']}): {audit['frozen']:,} frozen "
            f"parameters, {audit['frozen_changed']:,} changed"
        )
    if not run.is_bit_comparable:
        print("It went on under other versions or on another machine: not bit-comparable.")
    if run.state is RunState.FAILED:
        print(log_tail(run))


def _show_study(options: argparse.Namespace, folder: StudyFolder) -> int:
    study, rows = folder.study, [summary(run) for run in folder.runs()]
    verdicts, damaged = verdicts_of(folder.runs())
    if options.json:
        asked = {**study.to_dict(), "title": folder.title, "note": folder.note}
        shown = {"study": folder.id, "asked": asked, "digest": study.digest, "runs": rows}
        return print_json({**shown, "verdicts": verdicts, "damaged": damaged})
    _print_study(folder)
    print("\nRuns")
    _print_runs(rows)
    print("\nVerdicts", *(row["verdict"] for row in verdicts), sep="\n")
    return 0


def _print_study(folder: StudyFolder) -> None:
    study = folder.study
    print(f"{folder.id}: {plain(folder.title)}")
    if folder.note:
        print(lines(folder.note))
    print(
        f"{counted(study.pairs, 'paired seed')} of each arm, decided by {study.metric}; smallest "
        f"difference that matters: {study.smallest_difference:g}"
    )
    if expected := study.expectation:
        print(f"Expected: {plain(expected.arm)} ahead by {expected.by:g}")
    print("\nArms")
    for arm in study.arms:
        print(f"  {plain(arm.name)}: {_settings(arm.recipe)['phases']}")


def _settings(recipe: Recipe) -> dict[str, Any]:
    """The recipe in lines for people."""
    phases = ", then ".join(
        f"{p.trainable_label} x {p.epochs} at {p.learning_rate:g} ({p.optimizer})"
        for p in recipe.phases
    )
    return {**recipe.to_dict(), "phases": phases}
