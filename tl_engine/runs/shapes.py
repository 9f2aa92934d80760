"""What each file under runs/ holds: names, types and ranges, as msgspec checks them.

Fields that are not named here are allowed: a later version may write more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from tl_engine.storage.record_files import Hash, Records, Shape
from tl_engine.study import MAXIMUM_PAIRS

SMALL, LARGE = 2**20, 2**26
"""Bytes: a person's words or a state's facts; a line per epoch, or a count per pair of classes."""
MAXIMUM_EPOCHS = 1_000_000
MAXIMUM_PAIR = 1_000_000

Words = Annotated[str, Meta(max_length=10_000)]
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]
Positive = Annotated[float, Meta(ge=0, le=1e300)]
Share = Annotated[float, Meta(ge=0, le=1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Index = Annotated[int, Meta(ge=0, le=MAXIMUM_EPOCHS)]
Time = Annotated[str, Meta(pattern=r"^(19|2\d)\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?[+-]\d\d:\d\d$")]
Threads = Annotated[int, Meta(ge=1, le=4096)]
Seed = Annotated[int, Meta(ge=0, lt=2**31)]
Hashes = dict[str, Hash]


class Phase(TypedDict):
    trainable: str | Annotated[int, Meta(ge=1, le=10_000)]  # the top blocks
    epochs: Index
    learning_rate: Number


class Recipe(TypedDict):
    phases: list[Phase]


class Arm(TypedDict):
    name: Words
    recipe: Recipe


class Expectation(TypedDict):
    arm: Words
    by: Number


class Dataset(TypedDict):
    name: Words
    title: Words
    class_names: list[Words]
    height: Count
    width: Count
    channels: Count
    train: Count
    validation: Count
    test: Count
    licence: Words
    source: Words


class Question(TypedDict):
    title: Words
    arms: list[Arm]
    pairs: NotRequired[Annotated[int, Meta(ge=1, le=MAXIMUM_PAIRS)]]
    metric: NotRequired[str]
    smallest_difference: NotRequired[Number]
    expectation: NotRequired[Expectation | None]


class AskedStudy(TypedDict):
    study: Question
    created: Time
    datasets: NotRequired[dict[str, Dataset]]


class Study(AskedStudy):
    format: Annotated[int, Meta(ge=2)]
    id: NotRequired[Words]
    threads: NotRequired[Threads]
    versions: NotRequired[dict[str, str]]


class Label(TypedDict):
    title: Annotated[str, Meta(min_length=1, max_length=10_000)]
    note: Words


class Seeds(TypedDict):
    data: Seed
    head: Seed
    order: Seed


class Run(TypedDict):
    format: Annotated[int, Meta(ge=2)]
    study: NotRequired[Words]
    recipe: Recipe
    arm: Words
    pair: Annotated[int, Meta(ge=1, le=MAXIMUM_PAIR)]
    seeds: Seeds
    threads: Threads
    versions: dict[str, str]
    of: NotRequired[AskedStudy]
    dataset: NotRequired[Dataset]
    added: NotRequired[Time]


class Epoch(TypedDict):
    epoch: Annotated[int, Meta(ge=1, le=MAXIMUM_EPOCHS)]
    phase: Index
    trainable: Words
    learning_rate: Number
    seconds: Positive
    images: Count
    loss: Number
    accuracy: Share
    val_loss: Number
    val_accuracy: Share
    running_loss: NotRequired[Number]
    cold_seconds: NotRequired[Positive]
    shared: NotRequired[Words]


class Outcome(TypedDict):
    state: Annotated[str, Meta(pattern="^(finished|stopped|failed|damaged)$")]
    sentence: Words
    ended: Time
    seconds: Positive
    total_seconds: NotRequired[Positive | None]
    files: NotRequired[Hashes]


class PartOfSplit(TypedDict, total=False):
    correct: Count
    total: Count
    loss: Number
    accuracy: Share
    confusion: list[list[Count]]


class Split(TypedDict):
    correct: Count
    total: Count
    loss: Number
    accuracy: Share
    confusion: list[list[Count]]
    files: NotRequired[Hashes]


class Scores(TypedDict):
    splits: dict[str, PartOfSplit]
    phases: list[dict[str, Any]]
    files: NotRequired[Hashes]


class Part(TypedDict):
    file: Annotated[str, Meta(pattern=r"^(model|free|optimizer)-\d{4,}-\d{6,}\.npz$")]
    sha256: Hash


class Checkpoint(TypedDict):
    epoch: Index
    step: Count
    notes: dict[str, Any]
    environment: NotRequired[bool]
    lease: NotRequired[Annotated[str, Meta(max_length=100)]]
    files: dict[str, Part]


class Environment(TypedDict):
    fingerprint: Words
    threads: NotRequired[Count]
    versions: NotRequired[dict[str, str]]


class Environments(TypedDict):
    met: Annotated[list[Environment], Meta(min_length=1)]


class Attempt(TypedDict):
    at: Words
    asked: bool
    epoch: Index
    step: Count
    before: NotRequired[Positive | None]


class Progress(TypedDict, total=False):
    stage: Words
    phase: Index
    epoch: Index
    epochs: Index
    run: Count
    runs: Count
    fraction: Share
    seconds_left: Positive | None
    paused: Words
    ended: Words


class Heartbeat(TypedDict):
    boot: str
    beat: Positive
    pid: Count
    started: Number
    spent: NotRequired[Positive | None]
    progress: Progress


class Robustness(TypedDict):
    total: Count
    sample: Words
    clean: Count
    corrupted: dict[str, list[Count]]


class TestSetAccess(TypedDict):
    number: Annotated[int, Meta(ge=1, le=10**9)]
    at: Words
    runs: list[str]


Pair = Annotated[int, Meta(ge=1, le=MAXIMUM_PAIR)]
Place = tuple[Index, Pair]
"""The number of a recipe in its line, and a pair."""


class DeletedRun(TypedDict):
    recipe: Index
    pair: Pair
    state: Words
    sentence: Words
    ended: Words
    scores: dict[str, Number]
    data: Words


class DeletedAccess(TypedDict):
    at: Words
    runs: list[Place]


class DeletedStudy(TypedDict):
    study: Words
    title: Words
    created: Time
    datasets: NotRequired[dict[str, Dataset]]
    recipes: list[dict[str, Any]]
    pairs: list[Pair]
    metric: Words
    computed_before: list[Place]
    runs: list[DeletedRun]
    openings: list[DeletedAccess]


class Measurement(TypedDict, total=False):
    backbone: str
    train_seconds_per_image: Positive
    reading_seconds_per_image: Positive
    forward_seconds_per_image: Positive
    setup_seconds: Positive
    startup_seconds: Positive


class PhaseEndFacts(TypedDict):
    run: Words
    lines: list[Epoch]
    phases: list[dict[str, Any]]
    environment: dict[str, Any]
    files: dict[str, Part]


SHAPES = {
    "study.json": Shape(Study, 4 * SMALL),
    "label.json": Shape(Label, SMALL),
    "recipe.json": Shape(Run, 4 * SMALL),
    "history.jsonl": Shape(Epoch, LARGE),
    "outcome.json": Shape(Outcome, SMALL),
    "scores.json": Shape(Scores, LARGE),
    "checkpoint.json": Shape(Checkpoint, LARGE),
    "environment.json": Shape(Environments, SMALL),
    "attempts.jsonl": Shape(Attempt, LARGE),
    "pulse": Shape(Heartbeat, SMALL),
    "test.json": Shape(Split, LARGE),
    "robustness.json": Shape(Robustness, SMALL),
    "openings.jsonl": Shape(TestSetAccess, LARGE),
    "evidence.jsonl": Shape(DeletedStudy, LARGE),
    "measurements.jsonl": Shape(Measurement, LARGE),
}


def records_in(folder: Path, owner: str = "") -> Records:
    """The JSON files of a folder under runs/, read with their shapes.

    Args:
        owner: of their checksums; empty for files that belong to no run.
    """
    return Records(folder, SHAPES, owner)
