"""The command that compares: verdicts, scores, settings that differ, without what is damaged."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_engine.cli.printing import add_command, print_json
from tl_engine.errors import DamagedError, StoreError
from tl_engine.report.arms import arms_of, finished
from tl_engine.report.judgement import judge
from tl_engine.report.question import question_of
from tl_engine.report.verdict_table import table_of
from tl_engine.runs import Run, RunStore, joined_history
from tl_engine.runs.joined_history import split_sound
from tl_engine.text import plain

if TYPE_CHECKING:
    import pandas as pd

NAMES = {
    "seconds": "training_seconds",
    "mean_seconds": "mean_training_seconds",
}
"""Times are called what they are everywhere (docs/glossary.md)."""
Damaged = list[dict[str, str]]
"""Per run or study that was left out: its id, and the sentence about its damage."""


def add_to(commands: Any) -> None:
    """Add it to the parser."""
    text = (
        "verdicts, scores, settings that differ; what is damaged is left out, named on standard "
        'error and under "damaged", and makes exit code 1'
    )
    made = add_command(commands, "compare", compare, text, json=True)
    made.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")
    made.add_argument(
        "--any-budget", action="store_true", help="verdicts on arms that cost differently too"
    )


class Compared(NamedTuple):
    """What is printed.

    Attributes:
        scores, verdicts: a row per run, and per contrast.
    """

    runs: list[Run]
    damaged: Damaged
    scores: pd.DataFrame
    verdicts: pd.DataFrame


def compare(options: argparse.Namespace, store: RunStore) -> int:
    """Print verdicts on several runs or studies, their scores and the settings that differ."""
    from tl_engine.analysis.score_table import arm_summary
    from tl_engine.analysis.settings_diff import differences

    runs, damaged, scores, verdicts = _compared(*sound_runs(store, options.ids), options.any_budget)
    for one in damaged:
        print(f"{one['id']} is left out: {one['sentence']}", file=sys.stderr)
    if damaged and not runs:
        print("Nothing that is sound is left to compare.", file=sys.stderr)
        return 2
    settings = differences({run.arm: run.recipe.to_dict() for run in runs})
    done = finished(arms_of(runs), scores)  # what is on its way has no final score
    table, arms = scores.rename(columns=NAMES), arm_summary(done).rename(columns=NAMES)
    if options.json:
        parts = {"runs": table, "arms": arms, "verdicts": verdicts}
        rows = {name: _rows(t) for name, t in {**parts, "settings": settings.reset_index()}.items()}
        digests = {run.study.id: run.study.study.digest for run in runs}
        print_json({"studies": digests, **rows, "damaged": damaged})
    else:
        print("Validation accuracy per run\n", table.to_string(index=False), sep="")
        print("\nPer arm\n", arms.to_string(index=False), sep="")
        print("\nVerdicts", *verdicts["verdict"], sep="\n")
        _print_beside(verdicts)
        differing = settings.to_string() if len(settings) else "none"
        print("\nSettings that differ\n", differing, sep="")
    return 1 if damaged else 0


def _compared(runs: list[Run], damaged: Damaged, any_budget: bool) -> Compared:
    """What was sound may be damaged before all of it is read: then it is left out, too."""
    try:
        history = joined_history(runs)
        scores = _scores(runs, history)
        return Compared(runs, damaged, scores, _verdicts(runs, scores, history, any_budget))
    except DamagedError as error:
        sound = [run for run in runs if run.path not in error.path.parents]
        if len(sound) == len(runs):
            raise
        hurt = [{"id": run.id, "sentence": str(error)} for run in runs if run not in sound]
        return _compared(sound, [*damaged, *hurt], any_budget)


def sound_runs(store: RunStore, ids: Iterable[str]) -> tuple[list[Run], Damaged]:
    """The runs that ids of studies and runs name, and what of them is damaged or not there.

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
    sound, damaged = split_sound(list(chosen.values()))
    return sound, [*unreadable, *({"id": run.id, "sentence": why} for run, why in damaged)]


def verdicts_of(runs: list[Run]) -> tuple[list[dict[str, Any]], Damaged]:
    """The verdicts on runs, a row each, and which of them were left out as damaged."""
    sound, left_out = split_sound(runs)
    damaged = [{"id": run.id, "sentence": why} for run, why in left_out]
    found = _compared(sound, damaged, False)
    if not found.runs:
        return [{"verdict": "Every run is damaged."}], found.damaged
    return _rows(found.verdicts), found.damaged


def _scores(runs: list[Run], history: pd.DataFrame) -> pd.DataFrame:
    from tl_engine.analysis.score_table import score_table

    return score_table(history, {run.id: validation_images(run) for run in runs})


def _verdicts(
    runs: list[Run], scored: pd.DataFrame, history: pd.DataFrame, any_budget: bool
) -> pd.DataFrame:
    """A row per contrast of the arms, or the one sentence why there is none."""
    import pandas as pd

    arms = arms_of(runs)
    if len(arms) < 2:
        return pd.DataFrame([{"verdict": "One arm: nothing to compare it with."}])
    question = question_of(arms, scored)
    judged = judge(arms, scored, history, question, any_budget=any_budget)
    return table_of(arms, judged, question)


def _print_beside(verdicts: pd.DataFrame) -> None:
    """What stands beside each verdict: where its pairs come from, the health check, and the
    interval over images."""
    if "health" in verdicts:
        print("\nRests on")
        for row in verdicts.itertuples():
            print(f"{row.first} against {row.second}: {row.rests_on}")
        print("\nHealth check")
        for row in verdicts.itertuples():
            print(f"{row.first} against {row.second}, {row.health}: {row.health_says}")
        print("\nOver seeds, and over images", *filter(None, verdicts["over_images"]), sep="\n")


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    return json.loads(table.to_json(orient="records"))


def validation_images(run: Run) -> int:
    """How many images its validation accuracy counts.

    Raises:
        StoreError: where its recipe cannot be read.
    """
    from tl_engine.execution.cost import sizes_of

    return sizes_of(run.recipe).validation
