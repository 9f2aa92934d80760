"""The pilot: how far pairs of the same two arms spread in an earlier study."""

from dataclasses import replace

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import tiny_recipe, tiny_study
from tl_engine.analysis.interval import ALPHA
from tl_engine.analysis.power import detectable, pairs_needed
from tl_engine.analysis.rule import END
from tl_engine.metric import ACCURACY, METRICS
from tl_engine.recipe import Phase
from tl_engine.runs import ClaimedRun, RunState
from tl_engine.runs.pilot import Pilot, pilot_of
from tl_engine.study import name_arms

SCORES = {1: 0.70, 2: 0.71, 3: 0.69, 4: 0.72}


def finish(run, accuracy):
    claimed = ClaimedRun(run)
    claimed.begin()
    for epoch in range(1, fake_run.EPOCHS + 1):
        line = {**fake_run.line(epoch), "val_accuracy": accuracy, "val_loss": 1 - accuracy}
        claimed.append_epoch(line)
    claimed.commit(fake_run.state(fake_run.EPOCHS))
    claimed.record_results(fake_run.SCORES, fake_run.PROBABILITIES)
    claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)


def test_the_spread_is_that_of_finished_pairs_of_the_same_recipes(store):
    folder = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    first, second = (arm.recipe for arm in folder.study.arms)
    for run in folder.runs():
        if run.pair <= 2:
            finish(run, SCORES[run.pair] if run.arm_index else 0.7)
    assert pilot_of(store, first, second, ACCURACY) is None  # two pairs tell nothing
    for run in folder.runs():
        if run.pair == 3:
            finish(run, SCORES[3] if run.arm_index else 0.7)
    found = pilot_of(store, first, second, ACCURACY)
    expected = np.std([SCORES[pair] - 0.7 for pair in (1, 2, 3)], ddof=1)
    assert (found.pairs, found.spread) == (3, pytest.approx(expected))
    assert pilot_of(store, second, first, METRICS["val_loss"]).spread == pytest.approx(expected)
    assert pilot_of(store, first, replace(second, batch_size=9), ACCURACY) is None
    assert pilot_of(store, first, first, ACCURACY) is None


@pytest.mark.parametrize(("arms", "contrasts"), [(2, 1), (3, 3)])
def test_launch_reckons_with_as_many_contrasts_as_there_will_be(monkeypatch, arms, contrasts):
    from ui.launch import question_form

    pilot = Pilot("Before", 10, 0.01)
    monkeypatch.setattr(question_form, "store", lambda: None)
    monkeypatch.setattr(question_form, "pilot_of", lambda *_: pilot)
    recipes = [tiny_recipe(Phase("head", 1, rate)) for rate in (1e-2, 1e-3, 1e-4)]
    said = question_form._foresight(name_arms(recipes[:arms]), ACCURACY, 0.5, 10)
    found = detectable(0.01, 10, END * ALPHA / contrasts)
    assert f"find a difference of {100 * found:.2g} points" in said
    assert f"would take {pairs_needed(0.5, alpha=END * ALPHA / contrasts)} pairs" in said
    assert ("Holm" in said) is (contrasts > 1)
