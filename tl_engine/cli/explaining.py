"""The command that explains: what each phase did to the networks of finished runs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from tl_engine.cli.printing import add_command, number, print_json, print_table
from tl_engine.cli.sound_runs import print_left_out, sound_runs
from tl_engine.errors import StoreError
from tl_engine.report.verdict_table import records_of
from tl_engine.runs import RunState, RunStore, summarise

if TYPE_CHECKING:
    import pandas as pd


class _Table(NamedTuple):
    """A table as it is printed: its title, and its columns with their names in words."""

    title: str
    columns: dict[str, str]


TABLES = {
    "phases": _Table(
        "Each phase",
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
    "states": _Table(
        "How each phase began and ended, on the probe",
        {
            "loss": "probe loss",
            "accuracy": "probe accuracy",
            "refitted": "accuracy, refitted",
            "distortion": "features moved",
            "corrupted_loss": "loss, corrupted",
        },
    ),
    "blocks": _Table(
        "Each block, bottom-up, when a phase ended",
        {"drift": "weights moved", "cka": "features alike"},
    ),
}


def add_to(commands: Any) -> None:
    """Add it to the parser."""
    text = "what the phases of finished runs did to the network"
    made = add_command(commands, "explain", explain, text, json=True)
    made.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")


def explain(options: argparse.Namespace, store: RunStore) -> int:
    """Print what the phases did: per phase, when phases end, and per block."""
    from tl_engine.analysis import phase_tables

    runs, damaged = sound_runs(store, options.ids)
    print_left_out(damaged)
    records = [
        phase_tables.RunPhases(
            run.study.id, run.arm, run.pair, run.id, run.scores.get("phases", [])
        )
        for run in runs
        if summarise(run).state is RunState.FINISHED
    ]
    if not records:
        raise StoreError("Nothing to explain yet: it begins with the first run that finishes.")
    reasons = {
        one.run: phase_tables.why_not(one.phases) or phase_tables.EARLIER
        for one in records
        if not phase_tables.has_diagnosis(one.phases)
    }
    for run_id, reason in reasons.items():
        print(f"{run_id} is left out: {reason.rstrip('.')}.", file=sys.stderr)
    tables = _tables([one for one in records if one.run not in reasons])
    if options.json:
        rows = {name: records_of(table) for name, table in tables.items()}
        print_json({**rows, "left_out": reasons, "damaged": damaged})
    else:
        print(phase_tables.STANDING)
        for name, table in tables.items():
            print(f"\n{TABLES[name].title}")
            _print(table, TABLES[name].columns)
    return 1 if damaged else 0


def _tables(records: list[Any]) -> dict[str, pd.DataFrame]:
    """By name, as in TABLES; none of no records."""
    from tl_engine.analysis import phase_tables

    makers = (phase_tables.by_phase, phase_tables.states, phase_tables.blocks)
    return {name: make(records) for name, make in zip(TABLES, makers, strict=True) if records}


def _print(table: pd.DataFrame, columns: dict[str, str]) -> None:
    """The columns that hold a number anywhere, beneath their names in words."""
    measured = {name: words for name, words in columns.items() if not table[name].isna().all()}
    blocks = [name for name in ("block",) if name in table]
    rows = []
    for row in table.to_dict("records"):
        if blocks and not row["is_end"]:
            continue
        when = f"phase {row['phase'] + 1}"
        if "is_end" in row:
            when += ", end" if row["is_end"] else ", start"
        values = [_cell(row[name]) for name in measured]
        rows.append([row["run"], row["arm"], when, *(row[name] for name in blocks), *values])
    print_table(["run", "arm", "phase", *blocks, *measured.values()], rows)


def _cell(value: Any) -> str:
    return "" if value is None or value != value else number(float(value))
