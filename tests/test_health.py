"""The health check: failed, stopped and missing runs are outcomes, and no verdict forgets them."""

import json
import math
import re
import shutil
import time
from dataclasses import replace

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import tiny_study
from tests.test_evidence import no_real_processes  # noqa: F401 - for every test here
from tests.test_pages import assert_whole, finish, visit, words
from tl_engine import cli
from tl_engine.analysis.health import Level, RunFacts, health_of
from tl_engine.analysis.lost_runs import ArmEvidence, chance_score, with_lost, withheld
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.score_table import score_table
from tl_engine.analysis.verdict import Outcome, decide
from tl_engine.metric import METRICS
from tl_engine.report.arms import arms_of, question_of
from tl_engine.report.judgement import judge
from tl_engine.runs import ClaimedRun, RunState, joined_history

NAN = "The loss became nan in epoch 2: try a smaller learning rate than 0.001."
HERE = {"processor": "One", "device": "CPU", "threads": 2, "fingerprint": "f"}


def fail(run, sentence=NAN, state=RunState.FAILED):
    claimed = ClaimedRun(run)
    claimed.begin()
    claimed.end(state, sentence, 1.0)


def with_failures(store, failed=(2, 5), state=RunState.FAILED, pairs=10, both=False, first_pair=1):
    """A study whose first arm is clearly ahead where it finishes, and fails in some pairs."""
    study = tiny_study(*fake_run.PHASES, pairs=pairs)
    made = store.create(replace(study, first_pair=first_pair))
    first = made.study.arms[0].name
    for run in made.runs():
        if run.pair in failed and (both or run.arm == first):
            fail(run, state=state)
        else:
            finish(run, 0.02 * (run.arm != first) * (1 + 0.01 * run.pair))
    return made


def judged(*studies):
    runs = [run for study in studies for run in study.runs()]
    history = joined_history(runs)
    scored = score_table(history, {run.id: 1000 for run in runs})
    arms = arms_of(runs)
    (one,) = judge(arms, scored, history, question_of(arms, scored))
    return one


WITHHELD = re.compile(
    r"Withheld: 2 of 10 runs of Fine-tune first failed \(The loss became nan in epoch 2: .*\)\. "
    r"Without them: Fine-tune first is better than Freeze first.* "
    r"Counted at chance: Cannot tell yet: "
)


def test_a_verdict_of_the_survivors_is_withheld_where_the_failed_runs_would_change_it(store):
    one = judged(with_failures(store))
    assert one.verdict.outcome is Outcome.WITHHELD
    assert WITHHELD.match(one.verdict.sentence)
    assert one.verdict.interval is None
    assert math.isnan(one.adjusted_p)
    assert one.health.level is Level.PROBLEM


def test_the_same_is_said_on_compare_on_overview_and_on_the_command_line(
    store, monkeypatch, capsys
):
    study = with_failures(store)
    for page, query in (("pages/2_Compare.py", {"ids": study.id}), ("app.py", {})):
        app = visit(page, store, monkeypatch, **query)
        assert_whole(app)
        assert WITHHELD.search(words(app))
    assert cli.main(["compare", study.id, "--runs-dir", str(store.root)]) == 0
    printed = capsys.readouterr().out
    assert WITHHELD.search(printed)
    assert "problem: 2 of 10 runs of Fine-tune first failed" in printed
    assert cli.main(["compare", study.id, "--json", "--runs-dir", str(store.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["verdicts"]
    assert row["health"] == "problem"
    assert "2 of 10 runs of Fine-tune first failed" in row["health_says"]


def test_a_pair_that_failed_in_both_arms_counts_as_no_difference(store):
    one = judged(with_failures(store, failed=(2,), pairs=20, both=True))
    assert one.verdict.outcome is Outcome.BETTER  # 19 of 20 pairs agree, one is a tie
    assert one.health.level is Level.PROBLEM
    assert "The verdict is the same with them counted at chance" in one.health.words


def test_the_rule_knows_no_favourite(store):
    """Failures of the arm that is behind spread the differences too: withheld all the same."""
    study = store.create(tiny_study(*fake_run.PHASES, pairs=10))
    first = study.study.arms[0].name
    for run in study.runs():
        if run.arm != first and run.pair in (2, 5):
            fail(run)
        else:
            finish(run, 0.02 * (run.arm != first) * (1 + 0.01 * run.pair))
    assert judged(study).verdict.outcome is Outcome.WITHHELD


def test_a_run_that_somebody_stopped_is_counted_like_a_failed_one(store):
    one = judged(with_failures(store, state=RunState.STOPPED))
    assert one.verdict.outcome is Outcome.WITHHELD
    assert "2 of 10 runs of Fine-tune first were stopped" in one.verdict.sentence


def test_a_pair_that_somebody_stopped_in_both_arms_says_nothing_of_either(store):
    one = judged(with_failures(store, state=RunState.STOPPED, both=True))
    assert one.verdict.outcome is Outcome.BETTER
    assert len(one.pairs) == 8


def test_a_deleted_run_is_counted_and_named(store):
    study = with_failures(store, failed=())
    for run in study.runs():
        if run.pair in (3, 4) and run.arm_index == 0:
            shutil.rmtree(run.path)
    one = judged(store.study(study.id))
    assert one.verdict.outcome is Outcome.WITHHELD
    assert "2 of 10 runs of Fine-tune first are missing" in one.verdict.sentence


def test_runs_that_failed_in_another_study_of_the_same_comparison_are_counted_too(store):
    fine = with_failures(store, failed=(), pairs=4)
    assert judged(fine).verdict.outcome is Outcome.BETTER
    time.sleep(1.1)  # studies of one second have no order
    failed = with_failures(store, failed=(6, 8), pairs=6, first_pair=5)
    for shown in ((fine,), (failed,), (fine, failed)):
        one = judged(*shown)
        assert one.verdict.outcome is Outcome.WITHHELD
        assert "2 of 10 runs of Fine-tune first failed" in one.health.words


def test_deleting_a_study_does_not_make_its_failed_runs_unseen(store):
    store.delete(with_failures(store).id)
    again = with_failures(store, failed=(), pairs=4, first_pair=11)
    one = judged(again)
    assert len(one.pairs) == 12
    assert one.verdict.outcome is Outcome.WITHHELD
    assert "2 of 14 runs of Fine-tune first failed (The loss became nan" in one.health.words
    with_failures(store, failed=(), pairs=10)  # their seeds, launched again
    assert judged(again).verdict.outcome is Outcome.BETTER


def test_the_health_check_is_of_the_runs_that_count(store):
    study = tiny_study(*fake_run.PHASES, pairs=4)
    alone = store.create(replace(study, arms=study.arms[:1]))
    shown = store.create(study)
    for folder, threads in ((alone, 8), (shown, 2)):
        time.sleep(1.1)  # of runs that ended in one second any may count
        for run in folder.runs():
            finish(run, 0.02 * (1 + 0.01 * run.pair) * (run.arm == "Freeze first"))
            ClaimedRun(run).record_environment({**HERE, "threads": threads})
    one = judged(shown)
    assert [first.study for first, _ in one.evidence.pairs] == [alone.id] * 4
    assert "In 4 of 4 pairs the two runs differ in threads (2 and 8)" in one.health.words


def test_runs_that_cannot_be_counted_are_not_called_counted(store):
    one = judged(with_failures(store, state=RunState.STOPPED, both=True))
    assert "counted at chance" not in one.health.words
    assert "None is counted" in one.health.words


def test_a_comparison_whose_share_of_the_error_rests_on_lost_runs_is_withheld_too():
    """Holm lends the level of a claim to the next one, and takes it back with it."""
    clear = decide(Pairs(np.full(10, 0.02) + np.arange(10) * 1e-4, "B", "C", 10), 0.005)
    open_ = clear._replace(outcome=Outcome.OPEN, sentence="Cannot tell yet.")
    fine = health_of(both())
    verdict, _ = withheld(clear, open_, fine, is_counted=False)
    assert verdict.outcome is Outcome.WITHHELD
    assert "runs of other comparisons of the family were lost" in verdict.sentence
    assert withheld(clear, clear, fine, is_counted=False) == (clear, fine)


def test_a_lost_run_never_counts_more_than_the_worst_that_finished():
    """A loss of ln(10) is better than what a network that went astray ends with."""
    loss = METRICS["val_loss"]
    failed = {1: facts("A", 1, "failed"), 2: facts("A", 2)}
    there = {pair: facts("B", pair) for pair in (1, 2)}
    pairs = Pairs(np.array([0.7]), "A", "B", 2)
    sides = ArmEvidence(failed, {2: 2.3}, 10), ArmEvidence(there, {1: 3.0, 2: 3.0}, 10)
    assert with_lost(pairs, *sides, loss).differences.tolist() == [0.7, 0.0]


def test_fewer_than_four_pairs_stay_a_look(store):
    one = judged(with_failures(store, pairs=5))
    assert one.verdict.outcome is Outcome.LOOK
    assert one.health.level is Level.PROBLEM


def test_a_study_that_is_well_says_so_in_one_short_line(store, monkeypatch):
    study = with_failures(store, failed=(), pairs=4)
    for run in study.runs():
        ClaimedRun(run).record_environment(HERE)
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=study.id)
    assert_whole(app)
    assert "All 8 runs finished, on one machine." in words(app)


def facts(arm="A", pair=1, state="finished", sentence="", met=(HERE,), versions=None):
    return RunFacts(arm, pair, state, sentence, tuple(met), versions or {"tensorflow": "2.21"})


def both(pairs=3, **changes):
    return [facts("A", pair, **changes) for pair in range(1, pairs + 1)] + [
        facts("B", pair) for pair in range(1, pairs + 1)
    ]


@pytest.mark.parametrize(
    ("runs", "level", "sentence"),
    [
        (both(), Level.FINE, "All 6 runs finished, on one machine."),
        (
            [*both(2), facts("A", 3, "queued"), facts("B", 3, "running")],
            Level.NOTICE,
            "2 runs are still coming.",
        ),
        (
            both(met=[{**HERE, "threads": 4}]),
            Level.PROBLEM,
            "In 3 of 3 pairs the two runs differ in threads (2 and 4): their difference is not "
            "the recipe's alone.",
        ),
        (
            [facts(arm, p, met=[{**HERE, "device": f"GPU{p}"}]) for arm in "AB" for p in (1, 2)],
            Level.NOTICE,
            "Pairs were computed with several values of device (GPU1 and GPU2), the same for both "
            "arms of each pair.",
        ),
        (
            both(met=[{**HERE, "processor": "Two"}, HERE]),
            Level.NOTICE,
            "3 runs of A went on under other versions or on another machine: not bit-comparable.",
        ),
        (
            both(met=()),
            Level.NOTICE,
            "Of 3 runs of A nothing is recorded of the machine.",
        ),
        (
            both(state="damaged"),
            Level.PROBLEM,
            "3 of 3 runs of A are damaged.",
        ),
        (
            [facts("A", p, "failed", s) for p, s in ((1, "NaN."), (2, "NaN."), (3, "Full."))]
            + [facts("B", p) for p in (1, 2, 3)],
            Level.PROBLEM,
            "3 of 3 runs of A failed (NaN, 2 times; Full).",
        ),
    ],
)
def test_each_finding_has_its_level_and_its_sentence(runs, level, sentence):
    health = health_of(runs)
    assert health.level is level
    assert sentence in health.words


def test_findings_begin_with_the_problems():
    runs = [*both(2), facts("A", 3, "queued"), facts("B", 3, "failed", "NaN.")]
    assert [found.level for found in health_of(runs).findings] == [Level.PROBLEM, Level.NOTICE]


def test_chance_is_a_guess_among_the_classes():
    assert chance_score(METRICS["val_accuracy"], 10) == 0.1
    assert chance_score(METRICS["val_loss"], 10) == pytest.approx(math.log(10))
