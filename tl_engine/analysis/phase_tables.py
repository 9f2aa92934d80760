"""What the ends of phases say of runs, as tidy frames."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import pandas as pd

from tl_engine.analysis.steps import spike

EARLIER = "trained by a version that did not look inside"
STANDING = (
    "These diagnostics explain; they never change the verdict. They tell what happened in these "
    "runs, not what would have happened otherwise."
)
STATE_COLUMNS = (
    "loss",
    "accuracy",
    "energy",
    "distortion",
    "refitted",
    "corrupted_loss",
    "corrupted_accuracy",
    "corrupted_energy",
    "corrupted_distortion",
    "corrupted_refitted",
    "head_norm",
    "head_drift",
    "floor",
)
BLOCK_COLUMNS = ("drift", "means_drift", "variances_drift", "cka")
RUN_COLUMNS = ("study", "arm", "seed", "run")
PLACE_COLUMNS = ("phase", "stage", "is_end", "trained", "images")


class Told(NamedTuple):
    """A run and the records of its phases.

    Attributes:
        study, arm, seed, run: which it is.
        phases: as scores.json has them.
    """

    study: str
    arm: str
    seed: int
    run: str
    phases: list[dict[str, Any]]


def has_diagnosis(phases: Iterable[Mapping[str, Any]]) -> bool:
    """Whether any of a run's phases was looked at."""
    return any("end" in phase.get("diagnosis", {}) for phase in phases)


def why_not(phases: Iterable[Mapping[str, Any]]) -> str:
    """What kept a run from being looked at, in a sentence; empty where nothing is known."""
    return next((p["diagnosis"]["skipped"] for p in phases if _is_skipped(p)), "")


def states(told: Iterable[Told]) -> pd.DataFrame:
    """Two rows per run and phase, how it began and how it ended: RUN_COLUMNS, phase (0-based),
    stage (0 the start, then the phases that are over), is_end, trained (what the phase before the
    stage trained, "" at the start), images (of the probe) and STATE_COLUMNS; a number that there is
    not is NaN.

    Both are told on the same probe. That of the next phase may be another: a phase that several
    runs share was looked at with the probe that the first of them could afford.
    """
    rows = [
        {**who, **place, **{name: state.get(name) for name in STATE_COLUMNS}}
        for who, place, state in _states(told)
    ]
    frame = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *PLACE_COLUMNS, *STATE_COLUMNS])
    return frame.astype({**dict.fromkeys(STATE_COLUMNS, float), "is_end": bool})


def blocks(told: Iterable[Told]) -> pd.DataFrame:
    """One row per state and block, bottom-up: the columns of `states` before STATE_COLUMNS, block
    and BLOCK_COLUMNS."""
    rows = [
        {**who, **place, "block": block["title"], **{name: block[name] for name in BLOCK_COLUMNS}}
        for who, place, state in _states(told)
        for block in state["blocks"]
    ]
    frame = pd.DataFrame(rows, columns=[*RUN_COLUMNS, *PLACE_COLUMNS, "block", *BLOCK_COLUMNS])
    return frame.astype({**dict.fromkeys(BLOCK_COLUMNS, float), "is_end": bool})


def paths(told: Iterable[Told]) -> pd.DataFrame:
    """One row per run, phase and point: RUN_COLUMNS, phase (0-based), trained, images, at (0 the
    phase's first weights, 1 its last), loss, accuracy."""
    rows = []
    for run in told:
        for phase in run.phases:
            path = phase.get("diagnosis", {}).get("path", {})
            for at, loss, accuracy in zip(
                path.get("at", []), path.get("loss", []), path.get("accuracy", []), strict=True
            ):
                place = {"phase": phase["phase"], "trained": phase["trainable"], "at": at}
                images = phase["diagnosis"]["images"]
                point = {"images": images, "loss": loss, "accuracy": accuracy}
                rows.append({**_who(run), **place, **point})
    columns = [*RUN_COLUMNS, "phase", "trained", "images", "at", "loss", "accuracy"]
    return pd.DataFrame(rows, columns=columns)


def barriers(along: pd.DataFrame) -> pd.DataFrame:
    """Per run and phase: barrier, how far the loss rises above the straight line between its two
    ends at most, at least 0 (Neyshabur et al. 2020).

    Args:
        along: rows of `paths`.
    """
    keys = ["study", "arm", "seed", "run", "phase"]
    first, last = (along[along["at"] == end].set_index(keys)["loss"] for end in (0.0, 1.0))
    joined = along.join(first.rename("first"), on=keys).join(last.rename("last"), on=keys)
    chord = (1 - joined["at"]) * joined["first"] + joined["at"] * joined["last"]
    rises = (joined["loss"] - chord).clip(lower=0.0)
    return joined.assign(barrier=rises).groupby(keys, sort=False)["barrier"].max().reset_index()


def around_switches(told: Iterable[Told]) -> pd.DataFrame:
    """One row per run, switch and step: RUN_COLUMNS, phase (0-based, the one that follows), step
    (-1 the last before the switch, 1 the first after it) and loss, of one batch."""
    rows = [
        {**_who(run), "phase": phase, "step": step, "loss": loss}
        for run in told
        for phase, before, after in _switches(run)
        for step, loss in (*enumerate(before, -len(before)), *enumerate(after, 1))
    ]
    return pd.DataFrame(rows, columns=[*RUN_COLUMNS, "phase", "step", "loss"])


def switches(told: Iterable[Told]) -> pd.DataFrame:
    """One row per run and phase but the first: RUN_COLUMNS, phase (0-based), and spike and
    recovered as `analysis.steps.spike` has them; NaN where there is none."""
    rows = []
    for run in told:
        for phase, before, after in _switches(run):
            if found := spike(before, after):
                went_on = {"spike": found.height, "recovered": found.recovered}
                rows.append({**_who(run), "phase": phase, **went_on})
    columns = [*RUN_COLUMNS, "phase", "spike", "recovered"]
    return pd.DataFrame(rows, columns=columns).astype({"spike": float, "recovered": float})


def gradients(told: Iterable[Told]) -> pd.DataFrame:
    """One row per run, phase that trains more than the head, and block of it, bottom-up, the head
    last: RUN_COLUMNS, phase (0-based), trained, block, gradient and relative, of the phase's first
    batch, as `learning.gradients` has them."""
    rows = [
        {
            **_who(run),
            "phase": phase["phase"],
            "trained": phase["trainable"],
            "block": block["title"],
            "gradient": block["gradient"],
            "relative": block["relative"],
        }
        for run in told
        for phase in run.phases
        for block in phase.get("gradients", [])
    ]
    columns = [*RUN_COLUMNS, "phase", "trained", "block", "gradient", "relative"]
    return pd.DataFrame(rows, columns=columns).astype({"gradient": float, "relative": float})


def by_phase(told: list[Told]) -> pd.DataFrame:
    """One row per run and phase: RUN_COLUMNS, phase (0-based), loss and energy with which it
    began, head_drift, floor and means_drift (the largest of all blocks) with which it ended,
    barrier, spike and recovered; a number that there is not is NaN."""
    keys = [*RUN_COLUMNS, "phase"]
    known = states(told)
    starts = known[~known["is_end"]][[*keys, "loss", "energy"]]
    joined = known[known["is_end"]][[*keys, "head_drift", "floor"]]
    deep = blocks(told)
    moved = deep[deep["is_end"]].groupby(keys, sort=False)["means_drift"].max().reset_index()
    for other in (starts, moved, barriers(paths(told)), switches(told)):
        joined = joined.merge(other, on=keys, how="left")
    return joined


def _states(
    told: Iterable[Told],
) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Who, where and what, of each phase's start and end."""
    for run in told:
        trained = {phase["phase"]: phase["trainable"] for phase in run.phases}
        for phase in run.phases:
            known = phase.get("diagnosis", {})
            for is_end, name in ((False, "start"), (True, "end")):
                if known.get(name):
                    stage = phase["phase"] + is_end
                    before = trained.get(stage - 1, "")
                    place = (phase["phase"], stage, is_end, before, known["images"])
                    yield _who(run), dict(zip(PLACE_COLUMNS, place, strict=True)), known[name]


def _switches(run: Told) -> Iterator[tuple[int, list[float], list[float]]]:
    """Each phase but the first, with the losses of the last steps before it and of its first."""
    for before, after in itertools.pairwise(run.phases):
        steps = [phase.get("steps", {}) for phase in (before, after)]
        yield after["phase"], steps[0].get("last", []), steps[1].get("first", [])


def _who(run: Told) -> dict[str, Any]:
    return {name: getattr(run, name) for name in RUN_COLUMNS}


def _is_skipped(phase: Mapping[str, Any]) -> bool:
    return "skipped" in phase.get("diagnosis", {})
