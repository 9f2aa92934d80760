"""Pairing: what a pair gives both arms is the same to the byte, so that only the recipe differs."""

import os
from dataclasses import replace

import numpy as np
import pytest

from tests.conftest import tiny_recipe, tiny_study
from tl_engine.analysis.score_table import score_table
from tl_engine.data import sources
from tl_engine.data.splits import split
from tl_engine.learning.batches import epoch_order
from tl_engine.learning.device import prepare_device
from tl_engine.learning.model import build_model
from tl_engine.learning.training import train
from tl_engine.recipe import Phase
from tl_engine.report.arms import arms_of, question_of
from tl_engine.report.judgement import judge
from tl_engine.runs import ClaimedRun, RunState, joined_history
from tl_engine.study import Arm

prepare_device(os.cpu_count() or 1)
ALL, HEAD = Phase("all", 1, 1e-3), Phase("head", 1, 1e-2)


def finish(run):
    claimed = ClaimedRun(run)
    claimed.begin()
    train(claimed)
    claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)


def head(run):
    return build_model(run.recipe, run.seeds).get_layer("head").get_weights()[0]


def test_a_recipe_against_itself_differs_by_exactly_nothing(store):
    recipe = tiny_recipe(ALL, HEAD)
    study = tiny_study(ALL, HEAD, pairs=4)
    study = replace(study, arms=(Arm("One", recipe), Arm("The same", recipe)))
    folder = store.create(study)
    for run in folder.runs():
        finish(run)
    history = joined_history(folder.runs())
    assert (history["shared"] == "").all()  # both were computed
    scored = score_table(history, dict.fromkeys(history["run"], 1000))
    arms = arms_of(folder.runs())
    (judged,) = judge(arms, scored, history, question_of(arms, scored))
    assert list(judged.pairs["gain"]) == [0.0] * 4
    assert judged.contrast.factors == ()
    assert judged.verdict.sentence.startswith("One and The same differ by less than 0.5 points")
    seeds = history.groupby("seed")["val_loss"].nunique()
    assert (seeds == 2).all() and history["val_loss"].nunique() == 8  # pairs do differ


@pytest.mark.parametrize("pair", [1, 7])
def test_both_arms_of_a_pair_begin_with_the_same_head_split_and_order(store, pair):
    folder = store.create(tiny_study(ALL, HEAD, pairs=7))
    first, second = (run for run in folder.runs() if run.pair == pair)
    heads = [
        build_model(run.recipe, run.seeds).get_layer("head").get_weights()
        for run in (first, second)
    ]
    assert [one.tobytes() for one in heads[0]] == [other.tobytes() for other in heads[1]]
    images = sources.load("fashion-mini")
    splits = [split(images, run.recipe.train_images, run.seeds.data) for run in (first, second)]
    for part in ("train", "validation", "test"):
        one, other = (getattr(some, part).indices for some in splits)
        assert one.tobytes() == other.tobytes()
    for epoch in range(1, 9):
        one, other = (epoch_order(100, run.seeds.for_epoch(epoch)) for run in (first, second))
        assert one.tobytes() == other.tobytes()


def test_another_pair_has_another_head_split_and_order(store):
    first, second = [run for run in store.create(tiny_study(ALL, HEAD, pairs=2)).runs()][::2]
    heads = [
        build_model(run.recipe, run.seeds).get_layer("head").get_weights()[0]
        for run in (first, second)
    ]
    assert not np.array_equal(*heads)
    assert first.seeds.data != second.seeds.data
    orders = [epoch_order(100, run.seeds.for_epoch(1)) for run in (first, second)]
    assert not np.array_equal(*orders)
