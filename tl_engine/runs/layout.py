"""The files of runs: their names, and what each holds as msgspec checks it.

The package's docstring tells what each file is for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any

from msgspec import UNSET, Meta, UnsetType, defstruct

from tl_engine.storage.record_files import Hash, Records, Shape
from tl_engine.study import Seeds

QUARANTINE = "quarantine"
CHECKPOINT, ENVIRONMENT, HISTORY = "checkpoint.json", "environment.json", "history.jsonl"
FACT_FILES = ("outcome.json", CHECKPOINT, HISTORY, "scores.json", ENVIRONMENT)
"""What everything that is shown of a run comes from, beside its recipe."""
RESULT_FILES = (*FACT_FILES[1:], "probabilities.npz", "model.keras")
"""What a finished run consists of; its outcome names each with its sha256."""
REMAINING_FILES = ("recipe.json", "queued", "lock", "log.txt", "pulse")
"""What stays in its place when a damaged run begins again."""
RUN_FILES = frozenset({*FACT_FILES, *RESULT_FILES, *REMAINING_FILES, "stop", "attempts.jsonl"})
MEASUREMENTS = "measurements.jsonl"
RUN_NAME = re.compile(r"arm[0-9]{1,9}-pair[0-9]{1,9}")


def run_name(arm: int, pair: int) -> str:
    """The folder of a run: arm2-pair01 for the second arm (index 1) and pair 1."""
    return f"arm{arm + 1}-pair{pair:02d}"


@lru_cache(maxsize=20_000)
def arm_and_pair(name: str) -> tuple[int, int]:
    """(arm, pair) of a run's folder: the index of the arm, 0-based, and the pair's number."""
    arm, _, pair = name.removeprefix("arm").partition("-pair")
    return int(arm) - 1, int(pair)


def _object(required: Mapping[str, Any], **optional: Any) -> Any:
    """The shape of a JSON object; fields that it does not name are allowed: a later version may
    write more."""
    others = [(name, shape | UnsetType, UNSET) for name, shape in optional.items()]
    return defstruct("Object", [*required.items(), *others])


Words = Annotated[str, Meta(max_length=10_000)]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]
Positive = Annotated[float, Meta(ge=0, le=1e300)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Index = Annotated[int, Meta(ge=0, le=1_000_000)]
Ordinal = Annotated[int, Meta(ge=1, le=1_000_000)]
Format = Annotated[int, Meta(ge=2)]
Time = Annotated[str, Meta(pattern=r"^(19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$")]
Threads = Annotated[int, Meta(ge=1, le=4096)]
Seed = Annotated[int, Meta(ge=0, lt=2**31)]
Place = tuple[Index, Ordinal]
"""The number of a recipe in its line of the ledger, and a pair."""
Hashes = dict[str, Hash]
AnyObject = dict[str, Any]
"""What is checked where it is used, as most of a recipe or study is by its `from_dict`."""

Dataset: Any = _object(
    {
        **dict.fromkeys(("name", "title", "licence", "source"), Words),
        **dict.fromkeys(("height", "width", "channels", "train", "validation", "test"), Count),
        "class_names": list[Words],
    }
)
Datasets = dict[str, Dataset]
Phase: Any = _object({"trainable": str | Annotated[int, Meta(ge=1, le=10_000)]})  # top blocks
Recipe: Any = _object({"phases": list[Phase]})
Arm: Any = _object({"recipe": Recipe})
Question: Any = _object({"arms": list[Arm]}, expectation=AnyObject | None)
QUESTION = {"study": Question, "created": Time}
Epoch: Any = _object(
    {
        "epoch": Ordinal,
        "phase": Index,
        "trainable": Words,
        "learning_rate": Number,
        "seconds": Positive,
        "images": Count,
        "loss": Number,
        "accuracy": Share,
        "val_loss": Number,
        "val_accuracy": Share,
    },
    running_loss=Number,
    cold_seconds=Positive,
    shared=Words,
)
SPLIT = {
    "correct": Count,
    "total": Count,
    "loss": Number,
    "accuracy": Share,
    "confusion": list[list[Count]],
}
PartOfSplit: Any = _object({}, **SPLIT)
ArrayFile: Any = _object(
    {
        "file": Annotated[str, Meta(pattern=r"^(model|free|optimizer)-\d{4,}-\d{6,}\.npz$")],
        "sha256": Hash,
    }
)
Environment: Any = _object({"fingerprint": Words}, threads=Count, versions=dict[str, str])
Progress: Any = _object(
    {},
    **dict.fromkeys(("stage", "paused", "ended"), Words),
    **dict.fromkeys(("phase", "epoch", "epochs"), Index),
    run=Count,
    runs=Count,
    fraction=Share,
    seconds_left=Positive | None,
)
DeletedRun: Any = _object(
    {
        **dict.fromkeys(("state", "sentence", "ended", "data"), Words),
        "recipe": Index,
        "pair": Ordinal,
        "scores": dict[str, Number],
    }
)
DeletedAccess: Any = _object({"at": Words, "runs": list[Place]})
PhaseEndFacts: Any = _object(
    {
        "run": Words,
        "lines": list[Epoch],
        "phases": list[AnyObject],
        "environment": AnyObject,
        "files": dict[str, ArrayFile],
    }
)

OBJECTS = {
    "study.json": _object(
        {"format": Format, **QUESTION},
        datasets=Datasets,
        id=Words,
        threads=Threads,
        versions=dict[str, str],
    ),
    "label.json": _object(
        {"title": Annotated[str, Meta(min_length=1, max_length=10_000)], "note": Words}
    ),
    "recipe.json": _object(
        {
            "format": Format,
            "recipe": Recipe,
            "arm": Words,
            "pair": Ordinal,
            "seeds": _object(dict.fromkeys(Seeds._fields, Seed)),
            "threads": Threads,
            "versions": dict[str, str],
        },
        study=Words,
        of=_object(QUESTION, datasets=Datasets),
        dataset=Dataset,
        added=Time,
    ),
    "history.jsonl": Epoch,
    "outcome.json": _object(
        {
            "state": Annotated[str, Meta(pattern="^(finished|stopped|failed|damaged)$")],
            "sentence": Words,
            "ended": Time,
            "seconds": Positive,
        },
        total_seconds=Positive | None,
        files=Hashes,
    ),
    "scores.json": _object(
        {"splits": dict[str, PartOfSplit], "phases": list[AnyObject]}, files=Hashes
    ),
    "checkpoint.json": _object(
        {"epoch": Index, "step": Count, "notes": AnyObject, "files": dict[str, ArrayFile]},
        environment=bool,
        lease=Annotated[str, Meta(max_length=100)],
    ),
    "environment.json": _object({"met": Annotated[list[Environment], Meta(min_length=1)]}),
    "attempts.jsonl": _object(
        {"at": Words, "asked": bool, "epoch": Index, "step": Count}, before=Positive | None
    ),
    "pulse": _object(
        {"boot": str, "beat": Positive, "pid": Count, "started": Number, "progress": Progress},
        spent=Positive | None,
    ),
    "test.json": _object(SPLIT, files=Hashes),
    "robustness.json": _object(
        {"total": Count, "sample": Words, "clean": Count, "corrupted": dict[str, list[Count]]}
    ),
    "openings.jsonl": _object(
        {"number": Annotated[int, Meta(ge=1, le=10**9)], "at": Words, "runs": list[str]}
    ),
    "evidence.jsonl": _object(
        {
            **dict.fromkeys(("study", "title", "metric"), Words),
            "created": Time,
            "recipes": list[AnyObject],
            "pairs": list[Ordinal],
            "computed_before": list[Place],
            "runs": list[DeletedRun],
            "openings": list[DeletedAccess],
        },
        datasets=Datasets,
    ),
    "measurements.jsonl": _object(
        {},
        backbone=str,
        train_seconds_per_image=Positive,
        reading_seconds_per_image=Positive,
        forward_seconds_per_image=Positive,
        setup_seconds=Positive,
        startup_seconds=Positive,
    ),
}
SMALL = ("label.json", "outcome.json", "environment.json", "pulse", "robustness.json")
"""Files of at most a megabyte: a person's words, or a state's facts."""
LIMITS = {**dict.fromkeys(SMALL, 2**20), **dict.fromkeys(("study.json", "recipe.json"), 2**22)}
"""Bytes; all others hold a line per epoch, or a count per pair of classes."""
SHAPES = {name: Shape(of, LIMITS.get(name, 2**26)) for name, of in OBJECTS.items()}


def records_in(folder: Path, owner: str = "") -> Records:
    """The JSON files of a folder under runs/, read with their shapes.

    Args:
        owner: of their checksums; empty for files that belong to no run.
    """
    return Records(folder, SHAPES, owner)
