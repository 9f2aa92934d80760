"""What was measured at the ends of phases, as tidy frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import pandas as pd

from tl_engine.analysis.measures import spike

EARLIER = "trained by a version that did not look inside"
STANDING = (
    "These diagnostics explain; they never change the verdict. They tell what happened in these "
    "runs, not what would have happened otherwise."
)
MEASURES = ("loss", "accuracy", "energy", "distortion", "refitted")
"""What is measured on the probe's images, and on the same images corrupted."""
CORRUPTED = tuple(f"corrupted_{name}" for name in MEASURES)
STATE_COLUMNS = (*MEASURES, *CORRUPTED, "head_norm", "head_drift", "floor")
BLOCK_COLUMNS = ("drift", "means_drift", "variances_drift", "cka")
RUN_COLUMNS = ("study", "arm", "seed", "run")
PLACE_COLUMNS = ("phase", "stage", "is_end", "trained", "images")
KEYS = [*RUN_COLUMNS, "phase"]


class RunPhases(NamedTuple):
    """A run and the records of its phases, as scores.json has them."""

    study: str
    arm: str
    seed: int
    run: str
    phases: list[dict[str, Any]]


def has_diagnosis(phases: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of a run's phases was looked at."""
    return any("end" in phase.get("diagnosis", {}) for phase in phases)


def why_not(phases: Iterable[Mapping[str, Any]]) -> str:
    """What kept a run from being looked at, in a sentence; empty where nothing is recorded."""
    reasons = (phase.get("diagnosis", {}).get("skipped") for phase in phases)
    return next(filter(None, reasons), "")


def states(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """Two rows per run and phase, how it began and how it ended: RUN_COLUMNS, phase (0-based),
    stage (0 the start, then the phases that are over), is_end, trained (what the phase before the
    stage trained, "" at the start), images (of the probe) and STATE_COLUMNS; a number that there is
    not is NaN.

    Both are measured on the same probe. That of the next phase may be another: a phase that several
    runs share was looked at with the probe that the first of them could afford.
    """
    rows = [{**state, **place} for place, state in _states(runs)]
    return _frame(rows, *PLACE_COLUMNS, floats=STATE_COLUMNS).astype({"is_end": bool})


def blocks(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """One row per state and block, bottom-up: the columns of `states` before STATE_COLUMNS, block
    and BLOCK_COLUMNS."""
    rows = [
        {**block, **place, "block": block["title"]}
        for place, state in _states(runs)
        for block in state["blocks"]
    ]
    return _frame(rows, *PLACE_COLUMNS, "block", floats=BLOCK_COLUMNS).astype({"is_end": bool})


def paths(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """One row per run, phase and point: RUN_COLUMNS, phase (0-based), trained, images, at (0 the
    phase's first weights, 1 its last), loss, accuracy."""
    names = ("at", "loss", "accuracy")
    rows = [
        {**place, "images": phase["diagnosis"]["images"], **dict(zip(names, point, strict=True))}
        for place, phase in _phases(runs)
        if (path := phase.get("diagnosis", {}).get("path"))
        for point in zip(*(path.get(name, []) for name in names), strict=True)
    ]
    return _frame(rows, "phase", "trained", "images", *names)


def barriers(along: pd.DataFrame) -> pd.DataFrame:
    """Per run and phase of `paths`: barrier, how far the loss rises above the straight line between
    its two ends at most, at least 0 (Neyshabur et al. 2020)."""
    first, last = (along[along["at"] == end].set_index(KEYS)["loss"] for end in (0.0, 1.0))
    joined = along.join(first.rename("first"), on=KEYS).join(last.rename("last"), on=KEYS)
    chord = (1 - joined["at"]) * joined["first"] + joined["at"] * joined["last"]
    rises = (joined["loss"] - chord).clip(lower=0.0)
    return joined.assign(barrier=rises).groupby(KEYS, sort=False)["barrier"].max().reset_index()


def around_switches(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """One row per run, switch and step: RUN_COLUMNS, phase (0-based, the one that follows), step
    (-1 the last before the switch, 1 the first after it) and loss, of one batch."""
    rows = [
        {**place, "step": step, "loss": loss}
        for place, before, after in _switches(runs)
        for step, loss in (*enumerate(before, -len(before)), *enumerate(after, 1))
    ]
    return _frame(rows, "phase", "step", "loss")


def switches(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """One row per run and phase but the first: RUN_COLUMNS, phase (0-based), and spike and
    recovered as `analysis.measures.spike` has them; NaN where there is none."""
    rows = [
        {**place, "spike": found.height, "recovered": found.recovered}
        for place, before, after in _switches(runs)
        if (found := spike(before, after))
    ]
    return _frame(rows, "phase", floats=("spike", "recovered"))


def gradients(runs: Iterable[RunPhases]) -> pd.DataFrame:
    """One row per run, phase that trains more than the head, and block of it, bottom-up, the head
    last: RUN_COLUMNS, phase (0-based), trained, block, gradient and relative, of the phase's first
    batch, as `learning.phase_diagnosis` has them."""
    rows = [
        {**block, **place, "block": block["title"]}
        for place, phase in _phases(runs)
        for block in phase.get("gradients", [])
    ]
    return _frame(rows, "phase", "trained", "block", floats=("gradient", "relative"))


def by_phase(runs: list[RunPhases]) -> pd.DataFrame:
    """One row per run and phase: RUN_COLUMNS, phase (0-based), loss and energy with which it
    began, head_drift, floor and means_drift (the largest of all blocks) with which it ended,
    barrier, spike and recovered; a number that there is not is NaN."""
    measured, deep = states(runs), blocks(runs)
    starts = measured[~measured["is_end"]][[*KEYS, "loss", "energy"]]
    joined = measured[measured["is_end"]][[*KEYS, "head_drift", "floor"]]
    moved = deep[deep["is_end"]].groupby(KEYS, sort=False)["means_drift"].max().reset_index()
    for frame in (starts, moved, barriers(paths(runs)), switches(runs)):
        joined = joined.merge(frame, on=KEYS, how="left")
    return joined


def _frame(rows: list[dict[str, Any]], *columns: str, floats: Iterable[str] = ()) -> pd.DataFrame:
    """The rows with RUN_COLUMNS and these columns, the last of them numbers."""
    frame = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *columns, *floats])
    return frame.astype(dict.fromkeys(floats, float))


def _phases(runs: Iterable[RunPhases]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each phase's place (RUN_COLUMNS, phase, trained) and its record."""
    for run in runs:
        for phase in run.phases:
            place = {"phase": phase["phase"], "trained": phase["trainable"]}
            yield {**run._asdict(), **place}, phase


def _states(runs: Iterable[RunPhases]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each phase's start and end: its place (RUN_COLUMNS and PLACE_COLUMNS) and what was
    measured."""
    for run in runs:
        trained = {phase["phase"]: phase["trainable"] for phase in run.phases}
        for phase in run.phases:
            diagnosis = phase.get("diagnosis", {})
            for is_end, name in ((False, "start"), (True, "end")):
                if diagnosis.get(name):
                    stage = phase["phase"] + is_end
                    before = trained.get(stage - 1, "")
                    place = (phase["phase"], stage, is_end, before, diagnosis["images"])
                    by_name = dict(zip(PLACE_COLUMNS, place, strict=True))
                    yield {**run._asdict(), **by_name}, diagnosis[name]


def _switches(
    runs: Iterable[RunPhases],
) -> Iterator[tuple[dict[str, Any], list[float], list[float]]]:
    """Each phase but the first: its place (RUN_COLUMNS and phase), the losses of the last steps
    before it and of its first steps."""
    for run in runs:
        for before, after in pairwise(run.phases):
            last, first = before.get("steps", {}), after.get("steps", {})
            place = {**run._asdict(), "phase": after["phase"]}
            yield place, last.get("last", []), first.get("first", [])
