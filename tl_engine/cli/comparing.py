"""The command that compares: verdicts, scores, settings that differ; which of the runs that ids
name are sound, and which are left out as damaged."""

import argparse
import sys
from collections.abc import Iterable
from typing import Any

import pandas as pd

from tl_engine.analysis.contrast import differences
from tl_engine.analysis.score_table import arm_summary, score_table
from tl_engine.cli.printing import print_json
from tl_engine.errors import DamagedError, StoreError
from tl_engine.report.arms import arms_of, finished, question_of
from tl_engine.report.judgement import judge
from tl_engine.report.verdict_table import records_of, table_of
from tl_engine.runs import Run, RunStore, joined_history, split_sound
from tl_engine.text import plain

NAMES = {"seconds": "training_seconds", "mean_seconds": "mean_training_seconds"}
"""Times are called what they are everywhere (docs/glossary.md)."""
Damaged = list[dict[str, str]]
"""Per run or study that was left out: its id, and the sentence about its damage."""


def compare(options: argparse.Namespace, store: RunStore) -> int:
    """Verdicts, scores, settings that differ; what is damaged is left out, named on standard
    error and under "damaged", and makes exit code 1."""
    sound, unreadable = sound_runs(store, options.ids)
    runs, damaged, scores, verdicts = _compared(sound, unreadable, options.any_budget)
    print_left_out(damaged)
    if damaged and not runs:
        print("Nothing that is sound is left to compare.", file=sys.stderr)
        return 2
    settings = differences({run.arm: run.recipe.to_dict() for run in runs})
    done = finished(arms_of(runs), scores)  # what is on its way has no final score
    table, arms = scores.rename(columns=NAMES), arm_summary(done).rename(columns=NAMES)
    if options.json:
        digests = {run.study.id: run.study.study.digest for run in runs}
        tables = {"runs": table, "arms": arms, "verdicts": verdicts}
        tables["settings"] = settings.reset_index()
        rows = {name: records_of(frame) for name, frame in tables.items()}
        print_json({"studies": digests, **rows, "damaged": damaged})
    else:
        print("Validation accuracy per run\n", table.to_string(index=False), sep="")
        print("\nPer arm\n", arms.to_string(index=False), sep="")
        _print_verdicts(verdicts)
        differing = settings.to_string() if len(settings) else "none"
        print("\nSettings that differ\n", differing, sep="")
    return 1 if damaged else 0


def sound_runs(store: RunStore, ids: Iterable[str]) -> tuple[list[Run], Damaged]:
    """The runs that ids of studies and runs name, and what of them is damaged or missing.

    Raises:
        StoreError: where no id names anything that can be read.
    """
    chosen: dict[str, Run] = {}
    unreadable: Damaged = []
    for wanted in ids:
        try:
            folder = store.study(wanted.partition("/")[0])
            if not folder.is_readable:
                raise StoreError(folder.damage or "It cannot be read.")
            chosen |= {run.id: run for run in store.select([wanted])}
        except StoreError as error:
            unreadable.append({"id": plain(wanted, 100), "sentence": str(error)})
    if unreadable and not chosen:
        raise StoreError(unreadable[0]["sentence"])
    sound, damaged = _without_damaged(chosen.values())
    return sound, [*unreadable, *damaged]


def print_left_out(damaged: Damaged) -> None:
    """Print on standard error what was left out, and why."""
    for part in damaged:
        print(f"{part['id']} is left out: {part['sentence']}", file=sys.stderr)


def verdicts_of(runs: list[Run]) -> tuple[list[dict[str, Any]], Damaged]:
    """The verdicts on runs, a row each, and which of them were left out as damaged."""
    sound, damaged, _, verdicts = _compared(*_without_damaged(runs), any_budget=False)
    return records_of(verdicts) if sound else [{"verdict": "Every run is damaged."}], damaged


def _without_damaged(runs: Iterable[Run]) -> tuple[list[Run], Damaged]:
    sound, damaged = split_sound(runs)
    return sound, [{"id": run.id, "sentence": why} for run, why in damaged]


def _compared(
    runs: list[Run], damaged: Damaged, any_budget: bool
) -> tuple[list[Run], Damaged, pd.DataFrame, pd.DataFrame]:
    """The runs, what is damaged, a row of scores per run and of verdicts per contrast. What was
    sound may be damaged before all of it is read: then it is left out, too."""
    try:
        history = joined_history(runs)
        scores = score_table(history, {run.id: run.recipe.validation_images for run in runs})
        arms = arms_of(runs)
        if len(arms) < 2:
            verdicts = pd.DataFrame([{"verdict": "One arm: nothing to compare it with."}])
        else:
            question = question_of(arms, scores)
            judged = judge(arms, scores, history, question, any_budget=any_budget)
            verdicts = table_of(arms, judged, question)
        return runs, damaged, scores, verdicts
    except DamagedError as error:
        sound = [run for run in runs if run.path not in error.path.parents]
        if len(sound) == len(runs):
            raise
        hurt = [{"id": run.id, "sentence": str(error)} for run in runs if run not in sound]
        return _compared(sound, [*damaged, *hurt], any_budget)


def _print_verdicts(verdicts: pd.DataFrame) -> None:
    """The verdicts; beside each where its pairs come from, the health check, and the interval over
    images."""
    print("\nVerdicts", *verdicts["verdict"], sep="\n")
    if "health" in verdicts:
        arms, health = verdicts["first"] + " against " + verdicts["second"], verdicts["health"]
        print("\nRests on", *(arms + ": " + verdicts["rests_on"]), sep="\n")
        print("\nHealth check", *(arms + ", " + health + ": " + verdicts["health_says"]), sep="\n")
        print("\nOver seeds, and over images", *filter(None, verdicts["over_images"]), sep="\n")
