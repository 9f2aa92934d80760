"""The command that compares: verdicts, scores, settings that differ, without what is damaged."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_engine.cli.printing import add_command, print_json
from tl_engine.cli.sound_runs import Damaged, print_left_out, sound_runs, without_damaged
from tl_engine.errors import DamagedError
from tl_engine.report.arms import arms_of, finished
from tl_engine.report.judgement import judge
from tl_engine.report.question import question_of
from tl_engine.report.verdict_table import records_of, table_of
from tl_engine.runs import Run, RunStore, joined_history

if TYPE_CHECKING:
    import pandas as pd

NAMES = {"seconds": "training_seconds", "mean_seconds": "mean_training_seconds"}
"""Times are called what they are everywhere (docs/glossary.md)."""


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
    from tl_engine.analysis.contrast import differences
    from tl_engine.analysis.score_table import arm_summary

    compared = _compared(*sound_runs(store, options.ids), options.any_budget)
    runs, damaged, scores, verdicts = compared
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


def verdicts_of(runs: list[Run]) -> tuple[list[dict[str, Any]], Damaged]:
    """The verdicts on runs, a row each, and which of them were left out as damaged."""
    compared = _compared(*without_damaged(runs), False)
    if not compared.runs:
        return [{"verdict": "Every run is damaged."}], compared.damaged
    return records_of(compared.verdicts), compared.damaged


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


def _scores(runs: list[Run], history: pd.DataFrame) -> pd.DataFrame:
    from tl_engine.analysis.score_table import score_table

    return score_table(history, {run.id: run.recipe.validation_images for run in runs})


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


def _print_verdicts(verdicts: pd.DataFrame) -> None:
    """The verdicts; beside each where its pairs come from, the health check, and the interval over
    images."""
    print("\nVerdicts", *verdicts["verdict"], sep="\n")
    if "health" not in verdicts:
        return
    rows = list(verdicts.itertuples())
    print("\nRests on")
    for row in rows:
        print(f"{row.first} against {row.second}: {row.rests_on}")
    print("\nHealth check")
    for row in rows:
        print(f"{row.first} against {row.second}, {row.health}: {row.health_says}")
    print("\nOver seeds, and over images", *filter(None, verdicts["over_images"]), sep="\n")
