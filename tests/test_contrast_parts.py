"""What pages draw of a contrast, on runs without a network."""

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from tests import fake_run
from tests.conftest import tiny_study
from tests.test_pages import tables, words
from tl_engine.recipe import Phase
from tl_engine.runs import ClaimedRun, RunState

BEHIND = 0.02


def finish(run, slower, epochs=fake_run.EPOCHS):
    """Train a run; the slower arm stays behind by about two points."""
    claimed = ClaimedRun(run)
    claimed.begin()
    for epoch in range(1, epochs + 1):
        line = fake_run.line(epoch)
        line["val_accuracy"] -= BEHIND * (run.arm == slower) * (1 + 0.1 * run.pair)
        claimed.append_epoch(line)
    claimed.commit(fake_run.state(epochs))
    if epochs == fake_run.EPOCHS:
        splits = {"validation": {"confusion": np.eye(10, dtype=int).tolist()}}
        claimed.record_results({"splits": splits, "phases": []}, {})
        claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)
    else:
        claimed.end(RunState.STOPPED, "Stopped.", 1.0)


def draw(root):
    """The page that calls the parts."""
    from tl_engine.report.arms import arms_of
    from tl_engine.report.parts import CLOSER, EVIDENCE
    from tl_engine.report.shown_results import results_of
    from tl_engine.runs import RunStore
    from ui.compare.part_views import show

    runs = RunStore(root).studies()[0].runs()
    results = results_of(runs, [arm.key for arm in arms_of(runs)[:2]])
    for part in (*EVIDENCE[:5], *CLOSER["Costs"]):
        show(part, results)


def page(store):
    app = AppTest.from_function(draw, args=(str(store.root),), default_timeout=30).run()
    assert not app.exception
    return app


def figures(app):
    """Titles of the charts that are drawn."""
    return [json_of(chart)["layout"]["title"]["text"] for chart in app.get("plotly_chart")]


def json_of(chart):
    import json

    return json.loads(chart.proto.spec)


def test_a_study_without_a_run_says_what_will_be_there(store):
    store.create(tiny_study(*fake_run.PHASES, pairs=4))
    app = page(store)
    assert "has a measured epoch in common yet" in words(app)
    assert "Costs are known when the first epoch has ended" in words(app)
    assert figures(app) == ["Pair by pair", "As pairs come in"]
    assert not app.slider and not tables(app)


def test_before_a_run_has_finished_its_times_are_not_known(store):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    for run in study.runs()[:2]:
        finish(run, "Freeze first", epochs=1)
    app = page(store)
    assert figures(app) == [
        "Pair by pair",
        "As pairs come in",
        "The best one may expect for the time",
        "What accuracy costs",
    ]
    assert not app.slider
    (budgets,) = tables(app)
    assert budgets[1] == ["Optimizer steps", "16", "16", "1.00"]
    assert budgets[-1][1:] == ["–", "–", "–"]


def test_a_contrast_is_told_drawn_and_priced(store):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    for run in study.runs():
        finish(run, slower="Fine-tune first")
    app = page(store)
    said = words(app)
    assert "Fine-tune first starts 2.5 points lower, never overtakes, ends 2.5 points lower" in said
    assert "The budgets are comparable" in said
    (budgets,) = tables(app)
    steps = budgets[1]
    assert steps == ["Optimizer steps", "16", "16", "1.00"]
    slopes = json_of(app.get("plotly_chart")[0])
    assert "Freeze first ahead (4)" in [trace.get("name") for trace in slopes["data"]]


def test_a_run_that_has_not_finished_counts_in_no_pair(store):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=4))
    for run in study.runs():
        finish(run, "Freeze first", epochs=2 if run.pair == 4 else fake_run.EPOCHS)
    app = page(store)
    subtitle = json_of(app.get("plotly_chart")[0])["layout"]["title"]["subtitle"]["text"]
    assert "3 of 4 planned pairs" in subtitle and "interval" not in subtitle
    assert "Means of 3 to 4 pairs" in words(app)


def test_time_buys_runs_and_the_arm_that_is_expected_best_is_named(store):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=2))
    for run in study.runs():
        finish(run, "Fine-tune first")
    app = page(store)
    assert app.slider[0].max == 10.0
    app.slider[0].set_value(5.0).run()
    assert "With 5 s, expected best: Freeze first 77.5% as the best of 1" in words(app)
    app.slider[0].set_value(0.0).run()
    assert "No run fits into 0 s" in words(app)


def test_budgets_that_differ_are_not_called_comparable(store):
    from tl_engine.study import Arm, Study

    one = tiny_study(*fake_run.PHASES).arms[0].recipe
    longer = tiny_study(Phase("all", 4, 1e-3), Phase("head", 2, 1e-2)).arms[0].recipe
    study = store.create(Study("Unequal", (Arm("short", one), Arm("long", longer)), 1))
    for run in study.runs():
        finish(run, "short", epochs=1)
    said = words(page(store))
    assert "not comparable: steps differ by 50%, forward-equivalents by 75%" in said


@pytest.mark.parametrize("grid", [1, 2])
def test_a_grid_of_orders_and_settings_has_a_factor_chart(store, grid):
    from dataclasses import replace
    from itertools import product

    from tl_engine.study import Arm, Study

    recipe = tiny_study(*fake_run.PHASES).arms[0].recipe
    settings = product(("pooled-avg", "pooled-max"), ("as pretrained", "adapt")[:grid])
    recipes = [
        replace(order, head_input=head, batchnorm=policy)
        for head, policy in settings
        for order in (recipe, recipe.reversed())
    ]
    study = store.create(Study("Grid", tuple(Arm(f"{n}", one) for n, one in enumerate(recipes)), 2))
    for run in study.runs():
        finish(run, slower="0")
    last = json_of(page(store).get("plotly_chart")[-1])
    assert last["layout"]["title"]["text"] == "Order and head input"
    assert ("xaxis2" in last["layout"]) == (grid == 2)
