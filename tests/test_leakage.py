"""Leakage: the test split is in nothing that a run leaves, and accesses are counted."""

import importlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests import fake_run
from tests.conftest import PROJECT, tiny_study
from tl_engine.data import sources
from tl_engine.data.corruptions import corrupted
from tl_engine.data.duplicates import NEAR, digests, duplicates, duplicates_of, perceptual_hash
from tl_engine.data.splits import Split, split
from tl_engine.errors import DamagedError
from tl_engine.runs import Cache, ClaimedRun, Evaluation, RunState, RunStore
from tl_engine.runs.evaluations import result_arrays, result_of, write_result
from tl_engine.runs.evidence import of_store
from tl_engine.runs.layout import records_in
from tl_engine.runs.run_outputs import probabilities
from tl_engine.runs.test_access import count, note
from tl_engine.storage import record_files

SHIPPED = sources.load("fashion-mini")


def test_no_shipped_test_image_is_in_training_or_validation():
    test = set(digests(SHIPPED.test.images).tolist())
    assert len(test) == len(SHIPPED.test)
    for part in (SHIPPED.train, SHIPPED.validation):
        assert not test & set(digests(part.images).tolist())


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32 - 1), images=st.integers(10, 5000))
def test_no_index_of_a_split_stands_in_another(seed, images):
    splits = split(SHIPPED, images, seed)
    places = [{(p.part, int(i)) for i in p.indices} for p in vars(splits).values()]
    train, validation, test = places
    assert not (train & validation or train & test or validation & test)


def test_training_never_reads_a_test_image(store, monkeypatch):
    from tl_engine.learning.device import prepare_device
    from tl_engine.learning.training import train

    prepare_device(os.cpu_count() or 1)
    taken, take = set(), Split.take

    def watched(self, positions):
        taken.add(self.part)
        return take(self, positions)

    monkeypatch.setattr(Split, "take", watched)
    run = ClaimedRun(store.create(tiny_study(both=False)).runs()[0])
    run.begin()
    train(run)
    assert taken == {"train", "validation"}
    run.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    assert_no_test_in(run.path)


def test_nothing_of_the_test_split_is_in_what_a_finished_study_left(finished):
    assert_no_test_in(finished.path)
    for run in finished.runs():
        assert result_of(run, Evaluation.TEST) is None
        assert result_arrays(run, Evaluation.TEST) == {}
    assert of_store(finished.path.parent).test_accesses(finished) == []


def assert_no_test_in(folder):
    """No file, no key and no array is about the test images."""
    labels = SHIPPED.test.labels
    for path in folder.rglob("*"):
        assert "test" not in path.name
        if path.suffix in (".json", ".jsonl"):
            for line in (
                path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
            ):
                assert "test" not in keys(json.loads(line))
        if path.suffix == ".npz":
            with np.load(path) as arrays:
                for name, array in arrays.items():
                    assert not name.startswith("test")
                    assert len(labels) not in array.shape
        if path.name == "log.txt":
            assert "test" not in path.read_text().lower()


def keys(value):
    """Those of a value, without its datasets' descriptions, which say how many test images are."""
    if isinstance(value, dict):
        inner = [one for key, one in value.items() if key not in ("dataset", "datasets")]
        return set(value).union(*map(keys, inner))
    return set().union(*map(keys, value)) if isinstance(value, list) else set()


ANALYSIS = sorted(path.stem for path in (PROJECT / "tl_engine" / "analysis").glob("[!_]*.py"))


@pytest.mark.parametrize("name", [name for name in ANALYSIS])
def test_no_analysis_can_be_given_the_test_split(name):
    module = importlib.import_module(f"tl_engine.analysis.{name}")
    names = {
        name
        for function in vars(module).values()
        if getattr(function, "__module__", "") == module.__name__ and hasattr(function, "__code__")
        for name in function.__code__.co_varnames[: function.__code__.co_argcount]
    }
    assert names
    assert not {name for name in names if "test" in name.split("_")}


def test_a_runs_scores_and_probabilities_leave_test_out_once_it_is_open(store):
    run = store.create(fake_run.study()).runs()[0]
    fake_run.train(ClaimedRun(run))
    scores = run.scores
    write_result(run, Evaluation.TEST, {"correct": 1})
    assert run.scores == scores
    assert list(probabilities(run)) == ["validation"]


class Accesses(RuleBasedStateMachine):
    """People finish runs and open the test split in any order; processes die in between."""

    def __init__(self):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="thaw-"))
        self.patch = mock.patch("os.fsync")
        self.patch.start()
        self.study = RunStore(self.folder).create(fake_run.study(pairs=6))
        self.times = self.highest = 0
        self.finished, self.opened, self.answered = 0, set(), set()

    def teardown(self):
        self.patch.stop()
        shutil.rmtree(self.folder)

    @rule()
    def finish(self):
        if self.finished < 6:
            fake_run.train(ClaimedRun(self.study.runs()[self.finished]))
            self.finished += 1

    @rule(answers=st.integers(0, 6))
    def open(self, answers):
        """Ask all that have finished; the process may die after some of their answers."""
        runs = self.study.runs()[: self.finished]
        missing = [run for run in runs if run.path.name not in self.answered]
        if not missing:
            return
        names = {run.path.name for run in missing}
        self.times += not names <= self.opened
        note(self.study, missing)
        self.opened |= names
        for run in missing[:answers]:
            write_result(run, Evaluation.TEST, {"correct": 1})
            self.answered.add(run.path.name)

    @rule(data=st.data())
    def a_power_cut_leaves_half_a_line(self, data):
        path = self.study.path / "openings.jsonl"
        if path.exists():
            with open(path, "ab") as file:
                file.write(data.draw(st.binary(max_size=20)).replace(b"\n", b""))

    @invariant()
    def the_count_is_right_and_never_falls(self):
        accesses = of_store(self.study.path.parent).test_accesses(self.study)
        assert count(accesses) == self.times >= self.highest
        self.highest = self.times
        assert [access.number for access in accesses] == list(range(1, self.times + 1))
        assert {name for access in accesses for name in access.runs} == self.opened


TestAccesses = Accesses.TestCase
TestAccesses.settings = settings(max_examples=15, stateful_step_count=12, deadline=None)


def test_results_without_a_line_count_as_an_opening_of_their_own(store):
    study = store.create(fake_run.study(pairs=2))
    for run in study.runs():
        fake_run.train(ClaimedRun(run))
    first, second = study.runs()
    write_result(first, Evaluation.TEST, {"correct": 1})
    (access,) = of_store(study.path.parent).test_accesses(study)
    assert (access.number, access.at, access.runs) == (1, "", (first.path.name,))
    assert note(study, [second]).number == 2
    assert count(of_store(study.path.parent).test_accesses(study)) == 2


def test_a_changed_log_of_openings_is_refused(store):
    study = store.create(fake_run.study())
    note(study, study.runs())
    path = study.path / "openings.jsonl"
    line = records_in(path.parent).lines(path.name)[0]
    path.write_text(path.read_text().replace('"number": 1', '"number": 0'))
    with pytest.raises(DamagedError, match="openings"):
        of_store(study.path.parent).test_accesses(study)
    path.write_text(2 * (json.dumps(record_files.with_checksum(line)) + "\n"))
    with pytest.raises(DamagedError, match="twice"):
        of_store(study.path.parent).test_accesses(study)


def test_copies_are_found_and_other_pictures_are_not():
    others = np.array(SHIPPED.train.images[:300])
    copies = others[:40]
    brighter = corrupted(others[40:80], np.arange(40), "brightness", 1)
    noise = np.random.default_rng(0).integers(0, 256, (40, 28, 28, 3), np.uint8)
    found = duplicates(np.concatenate([copies, brighter, noise]), others)
    assert set(range(40)) <= set(found.exact.tolist())
    assert not {i for i in found.exact if i >= 80} and not {i for i in found.near if i >= 80}
    assert sum(40 <= i < 80 for i in found.near) >= 36
    assert (found.test, found.others) == (120, 300)


@given(gain=st.floats(0.4, 0.9), seed=st.integers(0, 99))
def test_the_hash_does_not_mind_contrast(gain, seed):
    image = np.array(SHIPPED.train.images[seed])
    paler = np.rint(image * gain).astype(np.uint8)
    one, other = perceptual_hash(np.stack([image, paler]))
    assert np.bitwise_count(one ^ other) <= 2 * NEAR


def test_duplicates_are_computed_once_for_a_dataset(tmp_path, monkeypatch):
    calls, module = [], "tl_engine.data.duplicates"
    monkeypatch.setattr(f"{module}._found", {})
    monkeypatch.setattr(f"{module}.duplicates", lambda *a: calls.append(a) or duplicates(*a))
    cache = Cache(tmp_path, limit=10**9)
    first = duplicates_of("fashion-mini", cache)
    monkeypatch.setattr(f"{module}._found", {})  # another process
    second = duplicates_of("fashion-mini", cache)
    assert len(calls) == 1
    assert np.array_equal(first.near, second.near)
    assert len(first.exact) == 0 < len(first.near)
