"""The command that explains: what each phase did to the networks of finished runs."""

import argparse
import sys

import pandas as pd

from tl_engine.analysis import phase_tables
from tl_engine.analysis.phase_tables import RunPhases
from tl_engine.cli.comparing import print_left_out, sound_runs
from tl_engine.cli.printing import number, print_json, print_table
from tl_engine.errors import StoreError
from tl_engine.report.verdict_table import records_of
from tl_engine.runs import Run, RunState, RunStore, summarise

TABLES = {
    "phases": (
        "Each phase",
        phase_tables.by_phase,
        {
            "loss": "loss at start",
            "energy": "energy at start",
            "spike": "spike",
            "recovered": "recovered after",
            "barrier": "barrier",
            "head_drift": "head moved",
            "means_drift": "BatchNorm moved",
            "floor": "loss floor at end",
        },
    ),
    "states": (
        "How each phase began and ended, on the probe",
        phase_tables.states,
        {
            "loss": "probe loss",
            "accuracy": "probe accuracy",
            "refitted": "accuracy, refitted",
            "distortion": "features moved",
            "corrupted_loss": "loss, corrupted",
        },
    ),
    "blocks": (
        "Each block, bottom-up, when a phase ended",
        phase_tables.blocks,
        {"drift": "weights moved", "cka": "features alike"},
    ),
}
"""Each table's title, what makes it, and its columns with their names in words."""


def explain(options: argparse.Namespace, store: RunStore) -> int:
    """What the phases of finished runs did to the network."""
    runs, damaged = sound_runs(store, options.ids)
    print_left_out(damaged)
    records = _finished(runs)
    reasons = _without_diagnosis(records)
    tables = _tables([record for record in records if record.run not in reasons])
    if options.json:
        rows = {name: records_of(table) for name, table in tables.items()}
        print_json({**rows, "left_out": reasons, "damaged": damaged})
    else:
        print(phase_tables.STANDING)
        _print_tables(tables)
    return 1 if damaged else 0


def _finished(runs: list[Run]) -> list[RunPhases]:
    records = [
        RunPhases(run.study.id, run.arm, run.pair, run.id, run.scores.get("phases", []))
        for run in runs
        if summarise(run).state is RunState.FINISHED
    ]
    if not records:
        raise StoreError("Nothing to explain yet: it begins with the first run that finishes.")
    return records


def _without_diagnosis(records: list[RunPhases]) -> dict[str, str]:
    """By run, why it has none; printed on standard error, too."""
    reasons = {
        record.run: phase_tables.why_not(record.phases) or phase_tables.EARLIER
        for record in records
        if not phase_tables.has_diagnosis(record.phases)
    }
    for run_id, reason in reasons.items():
        print(f"{run_id} is left out: {reason.rstrip('.')}.", file=sys.stderr)
    return reasons


def _tables(records: list[RunPhases]) -> dict[str, pd.DataFrame]:
    return {name: make(records) for name, (_, make, _) in TABLES.items() if records}


def _print_tables(tables: dict[str, pd.DataFrame]) -> None:
    for name, table in tables.items():
        title, _, columns = TABLES[name]
        print(f"\n{title}")
        _print(table, columns)


def _print(table: pd.DataFrame, columns: dict[str, str]) -> None:
    """The columns that hold a number anywhere, beneath their names in words."""
    measured = table[list(columns)].dropna(axis="columns", how="all").rename(columns=columns)
    when = "phase " + (table["phase"] + 1).astype(str)
    if "is_end" in table:
        when += table["is_end"].map({True: ", end", False: ", start"})
    places = table.filter(["run", "arm", "block"])
    places.insert(2, "phase", when)
    shown = places.join(measured.astype(object).map(number, na_action="ignore").fillna(""))
    if "block" in table:
        shown = shown[table["is_end"]]
    print_table(shown.to_dict("records"))
