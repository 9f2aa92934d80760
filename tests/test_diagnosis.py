"""Diagnostics as values: each number is what it says, on cases whose answer is known."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import tiny_recipe
from tl_engine.analysis import measures, phase_tables
from tl_engine.analysis.loss_floor import HIGH, floor_warning, loss_floor, reach_of
from tl_engine.analysis.phase_tables import RunPhases
from tl_engine.analysis.work import sizes_of, total_work
from tl_engine.catalog.presets import PRESETS
from tl_engine.charts import phase_effects as charts
from tl_engine.charts import phase_switch
from tl_engine.charts.arm_style import ArmStyle
from tl_engine.data.corruptions import PROBE_IMAGES, Probe, mildly_corrupted, size_for
from tl_engine.data.splits import Split
from tl_engine.recipe import Phase, Recipe

HEAD, ALL = Phase("head", 4, 1e-3), Phase("all", 2, 1e-5)
RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(512, 1280))


def test_features_are_alike_to_themselves_and_to_their_rotations():
    rotation, _ = np.linalg.qr(RANDOM.normal(size=(1280, 1280)))
    assert measures.linear_cka(FEATURES, FEATURES) == pytest.approx(1, abs=1e-12)
    assert measures.linear_cka(FEATURES, 3 * FEATURES @ rotation + 5) == pytest.approx(1, abs=1e-9)


def test_features_that_have_nothing_to_do_with_each_other_are_not_alike():
    assert abs(measures.linear_cka(FEATURES, RANDOM.normal(size=(512, 1280)))) <= 0.05


def test_features_that_say_the_same_of_all_images_are_like_nothing():
    assert np.isnan(measures.linear_cka(np.ones((8, 3)), FEATURES[:8]))


def test_few_images_do_not_make_unrelated_features_look_alike():
    one, other = (RANDOM.normal(size=(500, 8, 40)) for _ in range(2))
    alike = [measures.linear_cka(a, b) for a, b in zip(one, other, strict=True)]
    assert abs(np.mean(alike)) < 0.05
    mixed = [measures.linear_cka(a, a + b) for a, b in zip(one, other, strict=True)]
    assert np.mean(mixed) > 0.3


def glorot(seed, inputs=1000, classes=10):
    limit = np.sqrt(6 / (inputs + classes))
    return np.random.default_rng(seed).uniform(-limit, limit, (inputs, classes))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_article_s_head_has_the_loss_floor_that_was_computed_for_it(seed):
    kernel, bias = glorot(seed), np.zeros(10)
    assert loss_floor(kernel, bias) == pytest.approx(2.208, abs=0.01)
    moved = reach_of(Phase("all", 1, 1e-5), 1563)
    assert loss_floor(kernel, bias, moved) == pytest.approx(2.180, abs=0.01)
    assert loss_floor(kernel, bias, reach_of(Phase("head", 1, 1e-3), 3128)) < 0.02


@given(st.integers(0, 99), st.floats(0.01, 5))
def test_no_input_of_the_head_gets_below_the_floor(seed, scale):
    random = np.random.default_rng(seed)
    kernel, bias = scale * glorot(seed, 12, 3), random.normal(size=3) * 0.1
    inputs = random.dirichlet(np.full(12, 0.2), 2000)
    logits = inputs @ kernel + bias
    losses = np.log(np.exp(logits).sum(axis=1, keepdims=True)) - logits
    assert loss_floor(kernel, bias) <= losses.min(axis=0).mean() + 1e-3


def test_a_head_that_can_still_move_further_has_a_lower_floor():
    floors = [loss_floor(glorot(0), np.zeros(10), reach) for reach in (0, 0.01, 0.1, 1)]
    assert floors == sorted(floors, reverse=True)


def test_the_article_s_recipe_is_warned_of_its_floor_and_others_are_not():
    article = PRESETS["article"].study().arms[0].recipe
    said = floor_warning(article)
    (floor,) = [float(word) for word in said.replace(";", "").split() if word[:3] == "2.1"]
    assert 2.15 <= floor <= 2.25
    assert "guessing has 2.30" in said
    assert floor_warning(article.reversed()) == ""  # the head learns first, with large steps
    assert floor_warning(PRESETS["keras-guide"].study().arms[0].recipe) == ""
    assert floor > HIGH


def test_a_classifier_fitted_anew_reads_what_is_there_and_nothing_else():
    labels = np.arange(400) % 4
    told = np.eye(4)[labels] + 0.1 * RANDOM.normal(size=(400, 4))
    noise = RANDOM.normal(size=(400, 4))
    read, unread = measures.refitted_accuracy(told, labels, [told, noise])
    assert read == 1
    assert 0.15 < unread < 0.35
    assert measures.refitted_accuracy(np.ones((400, 4)), labels, [noise])[0] <= 0.3


def test_what_did_not_move_has_drifted_by_exactly_nothing():
    weights = [RANDOM.normal(size=(3, 3, 8)).astype(np.float32)]
    means, positive = [weights[0].ravel()], [np.abs(weights[0].ravel())]
    assert measures.drift(weights, [weights[0].copy()]) == 0
    assert measures.distortion(weights[0][0], weights[0][0]) == 0
    assert measures.statistics_drift(means, positive, means, positive) == (0, 0)


def test_numbers_of_change_are_relative_to_the_beginning():
    first = [np.full(4, 2.0), np.zeros(1)]
    assert measures.drift([np.full(4, 3.0), np.zeros(1)], first) == pytest.approx(0.5)
    assert measures.distortion(np.array([[3.0, 4.0]]), np.array([[3.0, 0.0]])) == pytest.approx(
        4 / 3
    )
    means, variances = measures.statistics_drift(
        [np.ones(2)], [np.full(2, 4.0)], [np.zeros(2)], [np.full(2, 4.0)]
    )
    assert (means, variances) == (0.5, 0)
    assert np.isnan(measures.statistics_drift([], [], [], [])).all()


def test_energy_is_none_for_the_truth_and_largest_for_its_opposite():
    labels = np.array([0, 1])
    assert measures.energy(np.eye(2), labels) == 0
    assert measures.energy(np.eye(2)[::-1], labels) == pytest.approx(np.sqrt(2))


def pictures(count=500):
    pixels = np.random.default_rng(1).integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    return Split(pixels, np.arange(count) % 10, np.arange(count))


def test_the_probe_is_decided_by_the_images_alone_and_holds_every_class():
    one, same = Probe(pictures(), "f00d", 64), Probe(pictures(), "f00d", 64)
    assert one == same != Probe(pictures(), "beef", 64)
    assert len(one) == 128
    assert set(np.bincount(one.labels)) <= {6, 7}
    larger = {a.tobytes() for a in Probe(pictures(), "f00d", 256).take(np.arange(256))}
    assert {a.tobytes() for a in one.take(one.clean)} <= larger


def test_corruption_is_mild_and_always_the_same():
    clean = RANDOM.integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    assert (mildly_corrupted(clean) == mildly_corrupted(clean)).all()
    assert mildly_corrupted(clean).std() < clean.std()
    assert mildly_corrupted(clean).mean() == pytest.approx(clean.mean(), abs=3)


@given(
    st.lists(st.sampled_from([HEAD, ALL]), min_size=1, max_size=4),
    st.integers(10, 5000),
)
def test_looking_costs_at_most_a_tenth_of_the_run_s_work(phases, images):
    recipe = Recipe(tuple(phases), train_images=images)
    work = total_work(recipe, sizes_of(recipe))
    size = size_for(recipe, work)
    free = sum(phase.trains_backbone for phase in phases)
    if size:
        states, points = 2 * size.images * (1 + free), size.images * size.between * free
        assert states + points <= 0.1 * work
        assert size.images in PROBE_IMAGES
    else:
        assert 2 * 64 * (1 + free) > 0.05 * work


def test_a_run_that_is_too_short_is_not_looked_at():
    assert size_for(tiny_recipe(), 1000) is None


def state(**changes):
    names = dict.fromkeys(phase_tables.STATE_COLUMNS, 0.5) | {"floor": None} | changes
    block = {"drift": 0.1, "means_drift": 0.0, "variances_drift": 0.0, "cka": None}
    return {**names, "blocks": [{"title": title, **block} for title in ("a", "b")]}


def record(phase, start, end, path=None):
    told = {"images": 64, "start": start, "end": end, "path": path or {"skipped": "No."}}
    losses = [1.0] * 10 if phase == 0 else [*[3.0] * 5, *[1.0] * 9]
    known = {"diagnosis": told, "steps": {"first": losses, "last": losses}}
    if phase == 0:
        wanted = {"gradient": 2.0, "relative": 0.5}
        known["gradients"] = [{"title": title, **wanted} for title in ("a", "b", "Head")]
    return {"phase": phase, "trainable": ("all", "head")[phase], **known}


PATH = {"at": [0.0, 0.5, 1.0], "loss": [1.0, 2.0, 0.0], "accuracy": [0.1, 0.2, 0.9]}
PHASES = [record(0, state(), state(accuracy=0.7), PATH), record(1, state(accuracy=0.7), state())]
TOLD = [RunPhases("s", "a", pair, f"s/{pair}", PHASES) for pair in (1, 2)]


def test_each_phase_tells_how_it_began_and_ended_and_what_was_trained_before():
    states = phase_tables.states(TOLD[:1])
    assert list(states["phase"]) == [0, 0, 1, 1]
    assert list(states["stage"]) == [0, 1, 1, 2]
    assert list(states["is_end"]) == [False, True, False, True]
    assert list(states["trained"]) == ["", "all", "all", "head"]
    assert list(states["accuracy"]) == [0.5, 0.7, 0.7, 0.5]
    assert states["floor"].isna().all()
    assert len(phase_tables.blocks(TOLD)) == 2 * 4 * 2


def test_a_phase_is_never_measured_against_another_phase_s_probe():
    began = state(accuracy=0.6, loss=0.9, refitted=0.55)
    second = record(1, began, state(accuracy=0.65, refitted=0.6))
    second["diagnosis"]["images"] = 96  # the phase before was looked at in another run
    told = [one._replace(phases=[PHASES[0], second]) for one in TOLD]
    assert list(phase_tables.by_phase(told)["loss"]) == [0.5, 0.9, 0.5, 0.9]
    drawn = charts.refit_lines(phase_tables.states(told), ARMS)
    thick = [trace for trace in drawn.data if trace.line.width == 3 and trace.line.dash == "solid"]
    assert [[*trace.x, *trace.y] for trace in thick] == [[0, 1, 0.5, 0.7], [1, 2, 0.6, 0.65]]


def test_a_barrier_is_the_rise_above_the_straight_line():
    assert list(phase_tables.barriers(phase_tables.paths(TOLD))["barrier"]) == [1.5, 1.5]


def test_a_switch_that_raised_the_loss_tells_when_it_was_made_good():
    told = phase_tables.switches(TOLD[:1]).iloc[0]
    assert (told["phase"], told["spike"], told["recovered"]) == (1, pytest.approx(2), 6)
    high = {**PHASES[1], "steps": {"first": [3.0] * 9, "last": [3.0] * 9}}
    never = TOLD[0]._replace(phases=[PHASES[0], high])
    assert np.isnan(phase_tables.switches([never]).iloc[0]["recovered"])
    around = phase_tables.around_switches(TOLD[:1])
    assert list(around["step"]) == [*range(-10, 0), *range(1, 15)]
    assert list(around["loss"]) == [*[1.0] * 10, *[3.0] * 5, *[1.0] * 9]


def test_runs_whose_steps_were_not_kept_have_no_switches():
    earlier = [{k: v for k, v in phase.items() if k != "steps"} for phase in PHASES]
    told = [TOLD[0]._replace(phases=earlier)]
    assert phase_tables.switches(told).empty
    assert phase_tables.around_switches(told).empty


def test_phases_are_joined_with_all_that_is_known_of_them():
    rows = phase_tables.by_phase(TOLD)
    assert list(rows["phase"]) == [0, 1, 0, 1]
    assert rows["barrier"].isna().tolist() == [False, True, False, True]
    assert rows["spike"].isna().tolist() == [True, False, True, False]


def test_runs_of_earlier_versions_have_no_diagnosis():
    assert not phase_tables.has_diagnosis([{"phase": 0, "trainable": "all"}])
    skipped = [{"phase": 0, "trainable": "all", "diagnosis": {"skipped": "Too short."}}]
    assert not phase_tables.has_diagnosis(skipped)
    assert phase_tables.why_not(skipped) == "Too short."
    assert phase_tables.states([TOLD[0]._replace(phases=skipped)]).empty
    assert phase_tables.by_phase([TOLD[0]._replace(phases=skipped)]).empty


HOSTILE = "<b>x</b>"
ARMS = {("s", "a"): ArmStyle(HOSTILE, "#7C5CD6")}
STATES, BLOCKS = phase_tables.states(TOLD), phase_tables.blocks(TOLD)


@pytest.mark.parametrize(
    ("draw", "frame"),
    [
        (charts.refit_lines, STATES),
        (charts.distortion_bars, STATES),
        (charts.head_lines, STATES),
        (charts.path_lines, phase_tables.paths(TOLD)),
        (charts.alike_lines, BLOCKS.assign(cka=0.5)),
        (lambda rows, arms: charts.drift_map(rows, arms["s", "a"], 0.1), BLOCKS),
        (phase_switch.losses, phase_tables.around_switches(TOLD)),
        (phase_switch.gradients, phase_tables.gradients(TOLD)),
    ],
)
def test_each_chart_says_what_it_rests_on_and_draws_nothing_of_nothing(draw, frame):
    drawn, empty = draw(frame, ARMS), draw(frame.iloc[:0], ARMS)
    assert "2 seeds" in drawn.layout.title.subtitle.text
    assert HOSTILE not in drawn.to_json()
    assert drawn.data
    assert not empty.data
    assert empty.layout.annotations[0].text


def test_every_seed_can_be_seen_beside_their_mean():
    thin, other, mean = charts.head_lines(STATES, ARMS).data
    assert (thin.line.width, other.line.width, mean.line.width) == (1, 1, 3)
    assert "(mean of 2)" in mean.hovertemplate
    bars = charts.distortion_bars(STATES, ARMS).data
    assert [trace.type for trace in bars] == ["bar", "scatter", "bar", "scatter"]


def test_records_survive_json():
    again = RunPhases("s", "a", 1, "r", json.loads(json.dumps(PHASES)))
    pd.testing.assert_frame_equal(
        phase_tables.states([again]), phase_tables.states([TOLD[0]._replace(run="r")])
    )


def test_the_head_stands_above_all_blocks_whichever_phase_freed_fewer_first():
    rows = phase_tables.gradients(TOLD[:1])
    few = rows[rows["block"].isin(["b", "Head"])].assign(phase=-1)
    made = phase_switch.gradients(pd.concat([few, rows]), ARMS)
    assert list(made.layout.yaxis.ticktext) == ["a", "b", "Head"]
