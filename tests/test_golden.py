"""Stores that other versions wrote: older ones open and go on, newer ones are left alone.

tests/golden/format-2 was written by 0.1.0: one finished run, one killed after its first epoch.
tests/golden/format-3 was written before 0.2.0: one finished run whose test images were read, one
killed in its second phase after a commit, and what a deleted study left.
"""

import json
import shutil

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import PROJECT
from tests.helpers import command, drain_in_a_process
from tl_engine.cli import main
from tl_engine.data.sources import load as load_images
from tl_engine.errors import StoreError
from tl_engine.runs import Evaluation, RunState, RunStore, joined_history
from tl_engine.runs.evaluations import result_arrays, result_of
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.layout import records_in
from tl_engine.runs.observations import recipe_id
from tl_engine.runs.run_outputs import log_tail, probabilities
from tl_engine.runs.run_requests import enqueue, request_stop
from tl_engine.storage import record_files
from tl_engine.storage.record_files import FORMAT


def contents(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def second(tmp_path):
    """A store of format 2, whose checksums are bound to no run."""
    shutil.copytree(PROJECT / "tests" / "golden" / "format-2", tmp_path / "runs")
    return RunStore(tmp_path / "runs")


def test_a_store_of_format_2_opens_and_compares(second, capsys):
    before = contents(second.root)
    (study,) = second.studies()
    assert study.damage == ""
    finished, other = study.runs()
    assert (finished.state, other.state) == (RunState.FINISHED, RunState.INTERRUPTED)
    assert [len(run.epochs()) for run in study.runs()] == [2, 1]
    assert probabilities(finished)["validation"].shape[1] == 10
    for words in (["list"], ["show", finished.id], ["show", other.id], ["compare", study.id]):
        assert main([*words, "--runs-dir", str(second.root)]) == 0
    assert "Fine-tune first" in capsys.readouterr().out
    assert contents(second.root) == before


@pytest.mark.long
def test_a_run_of_format_2_goes_on(second):
    _, killed = second.studies()[0].runs()
    first = killed.epochs()
    drain_in_a_process(second)
    assert killed.state is RunState.FINISHED, log_tail(killed)
    assert killed.epochs()[:1] == first
    assert killed.scores["splits"]["validation"]["total"] > 0


@pytest.fixture
def third(tmp_path):
    """A store of format 3, whose checksums are bound to their run."""
    shutil.copytree(PROJECT / "tests" / "golden" / "format-3", tmp_path / "runs")
    return RunStore(tmp_path / "runs")


def test_a_store_of_format_3_opens_and_compares(third, capsys):
    before = contents(third.root)
    (study,) = third.studies()
    assert (study.title, study.note, study.damage) == ("Which order?", "Written by format 3", "")
    finished, killed = study.runs()
    assert (finished.state, killed.state) == (RunState.FINISHED, RunState.INTERRUPTED)
    assert [len(run.epochs()) for run in study.runs()] == [4, 3]
    assert killed.checkpoint().epoch == 3
    predictions = result_arrays(finished, Evaluation.TEST)
    correct = predictions["probabilities"].argmax(axis=1) == predictions["labels"]
    assert result_of(finished, Evaluation.TEST)["correct"] == correct.sum()
    (access,) = of_store(study.path.parent).test_accesses(study)
    assert (access.number, access.runs) == (1, (finished.path.name,))
    evidence = Evidence(third)
    assert evidence.title("20261127-121426-rvfj") == "An earlier question"
    assert [run.recipe_record["computed_before"] for run in study.runs()] == [True, False]
    earliest = min(evidence.observed([recipe_id(finished.recipe)], "val_loss"), key=ended)
    assert earliest.study == "20261127-121426-rvfj"
    assert earliest.score == finished.epochs()[-1]["val_loss"]
    assert set(joined_history(study.runs())["arm"]) == {"Fine-tune first", "Freeze first"}
    for words in (["list"], ["show", finished.id], ["show", killed.id], ["compare", study.id]):
        assert main([*words, "--runs-dir", str(third.root)]) == 0
    assert "Fine-tune first" in capsys.readouterr().out
    assert contents(third.root) == before


def ended(observed):
    return observed.ended


@pytest.mark.long
def test_runs_of_format_3_go_on_and_classify(third):
    finished, killed = third.studies()[0].runs()
    first, notes = killed.epochs(), killed.environments
    drain_in_a_process(third)
    assert killed.state is RunState.FINISHED, log_tail(killed)
    assert killed.epochs()[:3] == first
    assert len(killed.epochs()) == 4
    assert killed.environments[: len(notes)] == notes
    picture = PROJECT / "tests" / "golden" / "picture.png"
    done = command("classify", finished.id, str(picture), "--json", "--runs-dir", str(third.root))
    assert done.returncode == 0, done.stderr
    assert len(json.loads(done.stdout)[0]["top"]) == 5


@pytest.mark.long
def test_the_test_results_of_format_3_are_those_that_its_model_gives(third):
    from tl_engine.learning.network import load_network

    run, _ = third.studies()[0].runs()
    images = np.array(load_images("fashion-mini").test.images[:50])
    computed = load_network(run).inference.predict_batch(images)
    np.testing.assert_allclose(
        computed, result_arrays(run, Evaluation.TEST)["probabilities"][:50], atol=2e-3
    )


@pytest.fixture
def newer(store):
    """A store with a study of a format that nobody knows yet, and one of today's."""
    future = store.create(fake_run.study())
    for path in [future.path / "study.json", *future.path.glob("*/recipe.json")]:
        value = {
            **records_in(path.parent).read(path.name),
            "format": FORMAT + 1,
            "what it says": "nobody knows",
        }
        path.write_text(json.dumps(record_files.with_checksum(value)))
    return store.study(future.id)


def test_a_study_of_a_newer_format_is_refused_hides_no_other_and_stays_untouched(
    store, newer, capsys
):
    today = store.create(fake_run.study())
    before = contents(newer.path)
    assert [study.id for study in store.studies()] == [today.id]
    assert [study.id for study in store.unreadable()] == [newer.id]
    assert f"was written by a newer Thaw (format {FORMAT + 1}; this one reads up to" in newer.damage
    assert store.next_waiting().id == today.runs()[0].id
    store.sweep()
    assert main(["list", "--runs-dir", str(store.root)]) == 0
    said = capsys.readouterr()
    assert today.id in said.out
    assert "upgrade Thaw to open it" in said.err
    assert main(["show", f"{newer.id}/arm1-pair01", "--runs-dir", str(store.root)]) == 2
    assert "upgrade Thaw" in capsys.readouterr().err
    run = newer.run("arm1-pair01")
    for request in (enqueue, request_stop):
        with pytest.raises(StoreError):
            request(run)
    assert {k: v for k, v in contents(newer.path).items() if k.name != "lock"} == before
