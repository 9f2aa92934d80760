"""The identity of evidence: the same recipe and seeds are one observation, wherever they stand."""

import json
import os
import re
import time
from dataclasses import replace

import pytest

from tests import fake_run
from tests.conftest import tiny_recipe, tiny_study
from tests.test_pages import assert_whole, finish, visit, words
from tl_engine import cli, runs
from tl_engine.cli.comparing import verdicts_of
from tl_engine.report.arms import arms_of, is_planned, question_of, why_none
from tl_engine.report.judgement import judge
from tl_engine.report.shown_results import scores_of
from tl_engine.runs import joined_history
from tl_engine.runs.evidence import Evidence, of_store
from tl_engine.runs.observations import observations, recipe_id, split_sound
from tl_engine.runs.run_requests import add_pairs
from tl_engine.runs.test_access import count, note
from tl_engine.storage import atomic
from tl_engine.study import Expectation, Study, name_arms


@pytest.fixture(autouse=True)
def no_real_processes(launches):
    """A page starts real workers and measurements; these tests look at pages only."""


def train(folder, worse="head > all"):
    """Finish its runs; those of one order stay behind."""
    for run in folder.runs():
        if not run.outcome:
            behind = 0.02 * (run.recipe.order == worse) * (1 + 0.03 * (run.pair % 3))
            finish(run, behind)
    return folder


def launched(store, pairs, **changes):
    return train(store.create(replace(tiny_study(*fake_run.PHASES), pairs=pairs, **changes)))


def six(store):
    changes = ({}, {"head_input": "pooled-max"}, {"batchnorm": "adapt"})
    recipes = [tiny_recipe(*fake_run.PHASES, **one) for one in changes]
    recipes = [one for recipe in recipes for one in (recipe.reversed(), recipe)]
    return train(store.create(Study("Six", name_arms(recipes), 4)))


def judged(*folders):
    runs = [run for folder in folders for run in folder.runs()]
    arms, history = arms_of(runs), joined_history(runs)
    assert not any(map(why_none, arms))
    scored = scores_of(history, runs)
    return arms, judge(arms, scored, history, question_of(arms, scored))


def test_a_clone_after_a_look_says_what_was_computed_before_and_has_no_plan(store, monkeypatch):
    launched(store, 2)
    expected = Expectation("Fine-tune first", 0.01)
    clone = launched(store, 4, expectation=expected)
    said = words(visit("pages/2_Compare.py", store, monkeypatch, ids=clone.id))
    assert "paired t interval" not in said
    assert "2 planned pairs had been computed before the question was fixed" in said
    assert "Expected after 2 of its pairs had been computed" in said
    assert "Expected before the first run" not in said
    assert "4 runs stand in a further study and count once" in said


def test_the_first_question_keeps_its_planned_analysis(store):
    folder = launched(store, 4)
    launched(store, 4)
    (one,) = judged(folder)[1]
    assert len(one.evidence.plan) == 4


def test_a_test_split_that_was_opened_in_one_study_is_open_in_its_clone(store, monkeypatch):
    first = launched(store, 4)
    clone, fresh = launched(store, 4), launched(store, 4, first_pair=5)
    first.label("The original")
    note(first, first.runs())
    assert [
        count(of_store(one.path.parent).test_accesses(one)) for one in (first, clone, fresh)
    ] == [1, 1, 0]
    said = words(visit("pages/2_Compare.py", store, monkeypatch, ids=clone.id))
    assert "Test split opened 1 time (in The original)" in said
    store.delete(first.id)
    assert count(of_store(clone.path.parent).test_accesses(clone)) == 1


def test_the_same_comparison_has_one_verdict_wherever_it_is_shown(store, monkeypatch, capsys):
    many = six(store)
    time.sleep(1.1)  # of runs that ended in one second any may count
    two = launched(store, 4)
    _, (alone,) = judged(two)
    arms, within = judged(many)
    both = {recipe_id(arm.recipe) for arm in two.study.arms}
    (same,) = [
        one
        for one in within
        if {recipe_id(arms[n].runs[0].recipe) for n in (one.first, one.second)} == both
    ]
    assert abs(same.verdict.difference) == pytest.approx(abs(alone.verdict.difference))
    assert same.verdict.alpha == alone.verdict.alpha < 0.05
    assert (same.verdict.pairs, same.family) == (4, alone.family)
    together, all_of_them = judged(many, two)
    assert len(together) == 6
    assert len(all_of_them) == 15
    assert cli.main(["compare", "--runs-dir", str(store.root), many.id, two.id]) == 0
    said = capsys.readouterr().out
    assert len(said.split("Verdicts\n")[1].split("\n\n")[0].split("\n")) == 15
    assert said.count("4 of 4 planned pairs; 8 runs stand in a further study and count once") == 1
    app = visit("app.py", store, monkeypatch)
    assert_whole(app)
    assert len(re.findall("8 runs stand in a further study and count once", words(app))) == 1
    assert "4 pairs that another study computed first" in words(app)


def test_studies_with_other_seeds_are_pooled(store):
    folders = [launched(store, 4), launched(store, 5, first_pair=5)]
    assert [run.pair for run in folders[1].runs()][::2] == [5, 6, 7, 8, 9]
    for shown in (folders[:1], folders[1:], folders):
        (one,) = judged(*shown)[1]
        assert (one.verdict.pairs, len(one.evidence.studies)) == (9, 2)


def test_deleting_makes_nothing_unseen(store):
    folder = launched(store, 4)
    store.delete(folder.id)
    again = launched(store, 4)
    assert all(run.recipe_record["computed_before"] for run in again.runs())
    (one,) = judged(again)[1]
    assert (one.verdict.pairs, one.evidence.copies) == (4, 8)
    assert one.asked.had_seen(frozenset(one.asked.recipes)) == 4
    fresh = launched(store, 4, first_pair=Evidence(store).fresh_pair(again.study))
    store.delete(again.id)
    (one,) = judged(fresh)[1]
    assert one.verdict.pairs == 8  # what was deleted goes on counting


def test_a_damaged_line_of_what_was_deleted_counts_as_seen(store):
    store.delete(launched(store, 4).id)
    path = store.root / "evidence.jsonl"
    path.write_bytes(path.read_bytes().replace(b"arithmetic", b"", 1).replace(b"1", b"2", 1))
    other = launched(store, 4, first_pair=50)
    assert Evidence(store).is_damaged
    assert all(run.recipe_record["computed_before"] for run in other.runs())
    store.delete(other.id)
    assert Evidence(store).is_damaged


def test_a_study_whose_first_pair_is_not_1_can_be_extended(store):
    folder = launched(store, 2, first_pair=7)
    assert [run.path.name for run in add_pairs(folder, 2)][-1] == "arm2-pair10"
    again = store.study(folder.id)
    assert (again.added_pairs, len(again.runs())) == (2, 8)
    (again.path / "study.json").write_text("{")
    assert store.study(folder.id).study.first_pair == 7


def test_titles_and_names_are_no_part_of_the_identity_and_seeds_are(store):
    one = launched(store, 2)
    other = launched(store, 2, title="Another")
    keys = [list(observations(folder.runs()).values()) for folder in (one, other)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 4


def test_a_clone_has_fresh_seeds_unless_somebody_declines(store, monkeypatch):
    folder = launched(store, 4)
    app = visit("pages/1_Launch.py", store, monkeypatch, clone=folder.id)
    assert_whole(app)
    assert "8 runs were computed before" in words(app)
    (toggle,) = [one for one in app.toggle if one.label == "Fresh seeds"]
    assert toggle.value
    toggle.set_value(False).run()
    assert "have no planned analysis" in words(app)
    app.toggle(key="form-fresh").set_value(True).run()
    app.button(key="launch").click().run()
    assert store.studies()[0].study.first_pair in (1, 5)
    assert {one.study.first_pair for one in store.studies()} == {1, 5}


def test_a_clone_on_the_command_line_has_fresh_seeds_unless_they_are_declined(store, capsys):
    original = launched(store, 2)
    for more, pairs in (([], [3, 4]), (["--same-seeds"], [1, 2])):
        words = ["clone", original.id, "--detach", "--json", *more]
        assert cli.main([*words, "--runs-dir", str(store.root)]) == 0
        said = capsys.readouterr()
        clone = store.study(json.loads(said.out)["study"])
        assert list(clone.study.pair_numbers) == pairs
        assert ("computed before" in said.err) == (not more)


def test_a_damaged_run_takes_the_verdict_of_its_own_arm_only(store, monkeypatch):
    many = six(store)
    run = many.runs()[0]
    history = run.path / "history.jsonl"
    history.write_bytes(history.read_bytes()[:-9])
    runs, _ = split_sound(many.runs())
    arms, history = arms_of(runs), joined_history(runs)
    scored = scores_of(history, runs)
    hurt = next(n for n, arm in enumerate(arms) if arm.key == (many.id, run.arm))
    comparable = 0
    for one in judge(arms, scored, history, question_of(arms, scored)):
        if not one.contrast.refusal("", ""):
            is_hurt = hurt in (one.first, one.second)
            assert ("is damaged: restart it" in one.refusal) == is_hurt
            comparable += not is_hurt
    assert comparable > 1
    shown = visit("pages/2_Compare.py", store, monkeypatch, ids=many.id)
    assert_whole(shown)
    assert "restart it for a verdict" in words(shown)


def test_a_folder_that_may_not_be_read_takes_the_verdict_of_its_own_arm_only(store, monkeypatch):
    many = six(store)
    closed = many.runs()[0].path
    scandir, stat, really_open = os.scandir, os.stat, os.open

    def refusing(really):
        def refuse(path, *rest, **options):
            if not isinstance(path, int) and os.fspath(path).startswith(f"{closed}/"):
                raise PermissionError(13, "Permission denied", str(path))
            return really(path, *rest, **options)

        return refuse

    def refuse_to_list(path="."):
        if os.fspath(path) == os.fspath(closed):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_to_list)
    monkeypatch.setattr(os, "stat", refusing(stat))
    monkeypatch.setattr(os, "open", refusing(really_open))
    rows, damaged = verdicts_of(many.runs())
    assert [one["id"] for one in damaged] == [many.runs()[0].id]
    assert any("is damaged: restart it" in row["verdict"] for row in rows)
    assert any(row["pairs"] == 4 and row["difference"] is not None for row in rows)


def test_a_run_that_is_damaged_while_compare_is_drawn_changes_the_order_of_arms_only(
    store, monkeypatch
):
    folder = launched(store, 4)
    hurt = folder.runs()[0]

    def late(chosen):
        return [run for run in chosen if run.id != hurt.id], [(hurt, "It is damaged.")]

    monkeypatch.setattr(runs, "split_sound", late)  # the choice was made before
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=folder.id)
    assert_whole(app)
    assert "are left out, and whoever chose" in words(app)


def test_what_is_expected_of_fresh_seeds_was_expected_after_the_old_ones_had_been_seen(
    store, monkeypatch
):
    launched(store, 4)
    time.sleep(1.1)
    expected = Expectation("Fine-tune first", 0.01)
    fresh = launched(store, 4, first_pair=5, expectation=expected)
    said = words(visit("pages/2_Compare.py", store, monkeypatch, ids=fresh.id))
    assert "Expected after 4 of its pairs had been computed" in said
    assert "Expected before the first run" not in said


def test_a_verdict_names_looks_at_the_test_split_with_any_of_its_pairs(store, monkeypatch, capsys):
    first, fresh = launched(store, 4), launched(store, 4, first_pair=5)
    fresh.label("The fresh one")
    note(fresh, fresh.runs())
    for ids in (first.id, f"{first.id},{fresh.id}"):
        said = words(visit("pages/2_Compare.py", store, monkeypatch, ids=ids))
        assert "Test split opened 1 time (in The fresh one)" in said
        assert "Test split locked" not in said
    assert cli.main(["compare", first.id, "--runs-dir", str(store.root)]) == 0
    assert "Test split opened 1 time (in The fresh one)" in capsys.readouterr().out


def test_studies_of_one_metric_are_judged_by_it_whatever_matters_to_each(store):
    folders = [
        launched(store, 4, metric="val_loss", smallest_difference=margin, first_pair=first)
        for margin, first in ((0.01, 1), (0.02, 5))
    ]
    runs = [run for folder in folders for run in folder.runs()]
    arms = arms_of(runs)
    question = question_of(arms, scores_of(joined_history(runs), runs))
    assert (question.metric.name, question.smallest) == ("val_loss", 0.02)


def test_pairs_that_another_study_computed_are_taken_over_and_new_ones_added(store):
    folder = launched(store, 4)
    launched(store, 3, first_pair=5)
    known = Evidence(store)
    assert known.pairs_to_add(folder, 2) == 5
    added = train(folder) and add_pairs(folder, known.pairs_to_add(folder, 2))
    assert [run.pair for run in added if not run.recipe_record["computed_before"]] == [8, 8, 9, 9]


def test_only_the_study_that_asked_first_has_the_planned_analysis(store):
    first = launched(store, 4)
    time.sleep(1.1)
    fresh = launched(store, 4, first_pair=5)
    for folder, is_first in ((first, True), (fresh, False)):
        arms = arms_of(folder.runs())
        assert is_planned(arms, 4) == is_first


def test_a_deletion_that_was_interrupted_leaves_one_line_and_counts_nothing_twice(
    store, monkeypatch
):
    folder, clone = launched(store, 4), launched(store, 4)
    note(folder, folder.runs())
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "delete_folder", lambda path: None)  # whoever deletes it dies
        store.delete(folder.id)
    assert [count(of_store(one.path.parent).test_accesses(one)) for one in (folder, clone)] == [
        1,
        1,
    ]
    store.delete(folder.id)
    assert count(of_store(clone.path.parent).test_accesses(clone)) == 1
    assert len((store.root / "evidence.jsonl").read_text().splitlines()) == 1


def test_the_first_question_is_the_first_in_any_time_zone(store, monkeypatch):
    folders = []
    for zone, pair in (("Etc/GMT-14", 1), ("Etc/GMT+12", 5)):  # the later one has the earlier day
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        folders.append(
            store.create(replace(tiny_study(*fake_run.PHASES), pairs=4, first_pair=pair))
        )
        time.sleep(1.1)
    monkeypatch.undo()
    time.tzset()
    assert folders[0].created.date() > folders[1].created.date()
    assert [is_planned(arms_of(one.runs()), 4) for one in folders] == [True, False]


def test_the_interval_over_images_names_the_studies_that_it_needs(store, capsys):
    launched(store, 4, title="The old seeds")
    fresh = launched(store, 4, first_pair=5)
    assert cli.main(["compare", fresh.id, "--runs-dir", str(store.root)]) == 0
    assert "pooled with pairs of The old seeds: the interval" in capsys.readouterr().out
