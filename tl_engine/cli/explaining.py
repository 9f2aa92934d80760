"""The command that explains: what each phase did to the networks of finished runs."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from tl_engine.cli.comparing import sound_runs
from tl_engine.cli.printing import add_command, number, print_json, print_table
from tl_engine.errors import StoreError
from tl_engine.runs import Run, RunState, RunStore, summarise

PHASES = {
    "loss": "loss at start",
    "energy": "energy at start",
    "spike": "spike",
    "recovered": "recovered after",
    "barrier": "barrier",
    "head_drift": "head moved",
    "means_drift": "BatchNorm moved",
    "floor": "loss floor at end",
}
STATES = {
    "loss": "probe loss",
    "accuracy": "probe accuracy",
    "refitted": "accuracy, refitted",
    "distortion": "features moved",
    "corrupted_loss": "loss, corrupted",
}
BLOCKS = {"drift": "weights moved", "cka": "features alike"}


def add_to(commands: Any) -> None:
    """Add it to the parser."""
    text = "what the phases of finished runs did to the network"
    made = add_command(commands, "explain", explain, text, json=True)
    made.add_argument("ids", nargs="+", metavar="STUDY[/RUN]")


def explain(options: argparse.Namespace, store: RunStore) -> int:
    """Print what the phases did: per phase, when phases end, and per block."""
    from tl_engine.analysis import phase_tables

    runs, damaged = sound_runs(store, options.ids)
    for one in damaged:
        print(f"{one['id']} is left out: {one['sentence']}", file=sys.stderr)
    records = [_record(run) for run in runs if summarise(run).state is RunState.FINISHED]
    if not records:
        raise StoreError("Nothing to explain yet: it begins with the first run that finishes.")
    looked_at = [one for one in records if phase_tables.has_diagnosis(one.phases)]
    missing = [one for one in records if one not in looked_at]
    reasons = {one.run: phase_tables.why_not(one.phases) or phase_tables.EARLIER for one in missing}
    for run, reason in reasons.items():
        print(f"{run} is left out: {reason.rstrip('.')}.", file=sys.stderr)
    tables = _tables(looked_at) if looked_at else {}
    if options.json:
        rows = {name: json.loads(t.to_json(orient="records")) for name, t in tables.items()}
        print_json({**rows, "left_out": reasons, "damaged": damaged})
        return 1 if damaged else 0
    print(phase_tables.STANDING)
    columns = {"phases": PHASES, "states": STATES, "blocks": BLOCKS}
    titles = {
        "phases": "Each phase",
        "states": "How each phase began and ended, on the probe",
        "blocks": "Each block, bottom-up, when a phase ended",
    }
    for name, table in tables.items():
        print(f"\n{titles[name]}")
        _print(table, columns[name])
    return 1 if damaged else 0


def _record(run: Run) -> Any:
    from tl_engine.analysis.phase_tables import RunPhases

    return RunPhases(run.study.id, run.arm, run.pair, run.id, run.scores.get("phases", []))


def _tables(records: list[Any]) -> dict[str, Any]:
    from tl_engine.analysis import phase_tables

    return {
        "phases": phase_tables.by_phase(records),
        "states": phase_tables.states(records),
        "blocks": phase_tables.blocks(records),
    }


def _print(table: Any, columns: dict[str, str]) -> None:
    """The columns that hold a number anywhere, beneath their names in words."""
    held = {name: words for name, words in columns.items() if not table[name].isna().all()}
    if "is_end" in table:
        table = table[table["is_end"]] if "block" in table else table
    places = [name for name in ("block",) if name in table]
    rows = []
    for row in table.to_dict("records"):
        when = f"phase {row['phase'] + 1}"
        if "is_end" in row:
            when += ", end" if row["is_end"] else ", start"
        values = [_cell(row[name]) for name in held]
        rows.append([row["run"], row["arm"], when, *(row[name] for name in places), *values])
    print_table(["run", "arm", "phase", *places, *held.values()], rows)


def _cell(value: Any) -> str:
    return "" if value is None or value != value else number(float(value))
