"""A run without a network: the trainer's calls in the trainer's order, on a few numbers.

What an epoch leaves depends on its number alone, so that whatever befalls a run in between, one
can say what it has to be after each epoch and at its end.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from tests.conftest import tiny_study
from tl_engine.recipe import Phase
from tl_engine.runs import Checkpoint, ClaimedRun, Run, RunState, epoch_line
from tl_engine.runs.run_outputs import model_file, probabilities
from tl_engine.storage import reading

PHASES = (Phase("all", 2, 1e-3), Phase("head", 2, 1e-2))
EPOCHS = 4
ENVIRONMENT = {"machine": "here", "fingerprint": "0" * 16}
SCORES = {"splits": {"validation": {"correct": 7, "total": 10}}, "phases": []}
PROBABILITIES = {"validation": np.linspace(0, 1, 20, dtype=np.float16).reshape(2, 10)}
MODEL = b"a model for Keras" * 20


def phase_at(recipe, epoch):
    """The index of the phase that the epoch (1-based) belongs to, and the phase."""
    each = [(i, phase) for i, phase in enumerate(recipe.phases) for _ in range(phase.epochs)]
    return each[epoch - 1]


def study(pairs: int = 1):
    """One arm of two phases."""
    return tiny_study(*PHASES, pairs=pairs, both=False)


def line(epoch: int) -> dict:
    """The epoch's history line."""
    phase = int(epoch > PHASES[0].epochs)
    measured = {"loss": 1 / epoch, "accuracy": 1 - 0.5 / epoch, "seconds": 1.0, "images": 100}
    validated = {"val_loss": 0.1 + 1 / epoch, "val_accuracy": 0.9 - 0.5 / epoch}
    return epoch_line(epoch, phase, PHASES[phase], {**measured, **validated})


def state(epoch: int, step: int = 0) -> Checkpoint:
    """What is committed after the epoch, or within the next."""
    model = {"0000": np.full((2, 3), epoch, np.float32), "0001": np.arange(step + 4.0)}
    return Checkpoint(epoch, step, model, {"0000": np.full(2, epoch + 0.5)}, {"loss": [epoch, 1]})


def train(run: ClaimedRun, last: int = EPOCHS) -> None:
    """From where the run is to its end, or until the epoch `last` is committed."""
    run.begin()
    known = run.checkpoint()
    done = known.epoch if known else 0
    run.record_environment(ENVIRONMENT)
    run.rewind_history(done)
    for epoch in range(done + 1, last + 1):
        run.commit(state(epoch - 1, step=3))
        run.append_epoch(line(epoch))
        run.commit(state(epoch))
    if last == EPOCHS:
        run.record_results(SCORES, PROBABILITIES)
        run.save_model(save)
        run.end(RunState.FINISHED, "Every epoch is done.", 1.0)


def save(path: Path) -> None:
    """As Keras saves a model: to a path of its own."""
    path.write_bytes(MODEL)


def rewrite(run: Run, name: str, value: dict | list) -> None:
    """Another value, or other lines, in a file of a run, as if the run had written it."""
    if isinstance(value, list):
        run.records.rewrite(name, value)
    else:
        run.records.write(name, value)
    outcome = run.outcome
    if name in outcome.get("files", {}):
        outcome["files"][name] = reading.sha256_of(run.path / name)
        run.records.write("outcome.json", outcome)


def take_over(run: Run, source: Run) -> None:
    """Make a new run what another one is, as if it had been trained itself."""
    (run.path / "queued").unlink()
    for file in source.path.iterdir():
        if file.name in ("recipe.json", "pulse", "lock", "outcome.json"):
            continue
        if file.suffix == ".json":
            run.records.write(file.name, source.records.read(file.name))
        elif file.suffix == ".jsonl":
            run.records.rewrite(file.name, source.records.lines(file.name))
        else:
            shutil.copy(file, run.path)
    outcome = source.outcome
    outcome["files"] = {name: reading.sha256_of(run.path / name) for name in outcome["files"]}
    run.records.write("outcome.json", outcome)


def assert_prefix(run: Run) -> int:
    """What the run says is true, as far as it goes; the number of epochs that are committed."""
    run.facts()  # raises where a file is damaged
    known = run.checkpoint()
    committed = known.epoch if known else 0
    epochs = run.epochs()
    assert epochs == [line(epoch) for epoch in range(1, len(epochs) + 1)]
    assert committed <= len(epochs) <= committed + 1
    if known:
        expected = state(known.epoch, known.step)
        same(known.model, expected.model)
        same(known.optimizer, expected.optimizer if known.optimizer else {})
        assert known.notes == expected.notes
    return committed


def assert_finished(run: Run) -> None:
    """Everything is there that a run leaves, to the last bit, and nothing else."""
    assert run.state is RunState.FINISHED, run.sentence
    assert assert_prefix(run) == EPOCHS
    assert run.scores["splits"] == SCORES["splits"]
    assert run.environments == [ENVIRONMENT]
    assert run.attempts()
    same(probabilities(run), PROBABILITIES)
    assert model_file(run).read_bytes() == MODEL
    arrays = sorted(path.name for path in run.path.glob("*.npz"))
    assert arrays == ["model-0004-000000.npz", "probabilities.npz"]
    hidden = [path.name for path in run.path.iterdir() if path.name.startswith(".")]
    assert not [name for name in hidden if (run.path / name).is_file()]


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """The same arrays to the last bit."""
    assert {k: (v.dtype, v.tobytes()) for k, v in one.items()} == {
        k: (v.dtype, v.tobytes()) for k, v in other.items()
    }
