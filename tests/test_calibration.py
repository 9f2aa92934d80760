"""Calibration against simulators that are calibrated, and formulas against their definitions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import softmax

from tl_engine.analysis.calibration import (
    BINS,
    TEMPERATURES,
    bins_of,
    brier_score,
    calibration,
    calibration_error,
    fitted_temperature,
    in_a_sentence,
    mean_loss,
    null_errors,
    reliability,
)

IMAGES = 400


def simulated(seed, images=IMAGES, classes=10, temperature=1.0):
    """Probabilities and labels of a model that is calibrated at temperature 1: each label is
    drawn from the probabilities themselves."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 3, (images, classes))
    chances = softmax(logits, axis=1)
    labels = (chances.cumsum(axis=1) < random.random((images, 1))).sum(axis=1)
    return softmax(logits * temperature, axis=1), np.minimum(labels, classes - 1)


def right_and_sure(probabilities, labels):
    return probabilities.max(axis=1), probabilities.argmax(axis=1) == labels


def test_the_null_band_holds_95_of_100_calibrated_models():
    models, within = 300, 0
    for seed in range(models):
        confidences, right = right_and_sure(*simulated(seed))
        low, high = null_errors(confidences)
        within += low <= calibration_error(reliability(confidences, right)) <= high
    # 99.9 % of Bin(300, 0.95) lie in here.
    assert 0.9 * models <= within <= 0.987 * models


def test_each_bin_s_band_holds_calibrated_models_at_least_95_times_in_100():
    inside = bins = 0
    for seed in range(100):
        frame = reliability(*right_and_sure(*simulated(seed)))
        inside += ((frame["low"] <= frame["accuracy"]) & (frame["accuracy"] <= frame["high"])).sum()
        bins += len(frame)
    assert 0.94 <= inside / bins <= 0.995  # more than 95 %: counts come in whole images


def test_an_overconfident_model_lies_beyond_its_band():
    confidences, right = right_and_sure(*simulated(1, images=2000, temperature=2.0))
    _, high = null_errors(confidences)
    assert calibration_error(reliability(confidences, right)) > 1.5 * high


def test_the_same_confidences_give_the_same_band():
    confidences = np.linspace(0.1, 1, 50)
    assert null_errors(confidences) == null_errors(confidences)


def test_more_images_make_a_narrower_band():
    few, many = (null_errors(simulated(1, n)[0].max(axis=1)) for n in (200, 5000))
    assert many[1] < few[1] / 2


@given(
    st.lists(
        st.tuples(st.floats(0, 1), st.booleans()),
        min_size=1,
        max_size=60,
    )
)
def test_bins_hold_every_image_once_and_the_error_is_its_definition(rows):
    confidences, right = (np.array(column) for column in zip(*rows, strict=True))
    frame = reliability(confidences, right)
    assert frame["images"].sum() == len(rows)
    assert (frame["images"] > 0).all()
    places, error = bins_of(confidences), 0.0
    for place in set(places):
        here = places == place
        assert (confidences[here] >= place / BINS - 1e-9).all()
        assert (confidences[here] <= (place + 1) / BINS + 1e-9).all()
        error += here.mean() * abs(right[here].mean() - confidences[here].mean())
    assert calibration_error(frame) == pytest.approx(error)
    assert 0 <= error <= 1


def test_a_model_that_is_always_sure_and_right_has_no_error():
    frame = reliability(np.ones(5), np.ones(5, bool))
    assert calibration_error(frame) == 0
    assert frame[["bin", "images", "low", "high"]].to_numpy().tolist() == [[BINS - 1, 5, 1, 1]]
    assert null_errors(np.ones(5)) == (0, 0)


def test_loss_and_brier_score_are_their_definitions():
    probabilities, labels = simulated(3, images=50)
    truth = np.eye(10)[labels]
    assert brier_score(probabilities, labels) == pytest.approx(
        ((probabilities - truth) ** 2).sum(axis=1).mean()
    )
    expected = -np.log((probabilities * truth).sum(axis=1)).mean()
    assert mean_loss(probabilities, labels) == pytest.approx(expected)
    wrong = np.array([[0.0, 1.0]], np.float16)
    assert brier_score(wrong, np.array([0])) == 2
    assert mean_loss(wrong, np.array([0])) == pytest.approx(-np.log(1e-7))


@pytest.mark.parametrize("sharpened", [0.5, 1.0, 2.0])
def test_the_temperature_undoes_what_made_a_model_too_sure(sharpened):
    probabilities, labels = simulated(4, images=5000, temperature=sharpened)
    assert fitted_temperature(probabilities, labels) == pytest.approx(sharpened, rel=0.08)


def test_the_temperature_is_the_one_that_scipy_finds():
    probabilities, labels = simulated(5)
    logits = np.log(probabilities)

    def loss(log):
        return mean_loss(softmax(logits / np.exp(log), axis=1), labels)

    known = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded").x
    assert fitted_temperature(probabilities, labels) == pytest.approx(np.exp(known), rel=1e-3)


def test_of_models_that_are_never_wrong_or_know_nothing_the_temperature_is_a_bound():
    low, high = TEMPERATURES
    labels = np.array([0, 1, 0])
    never = np.eye(2)[labels] * 0.2 + 0.4
    assert fitted_temperature(never, labels) == pytest.approx(low, rel=0.01)
    assert fitted_temperature(never, 1 - labels) == pytest.approx(high, rel=0.01)


@pytest.mark.parametrize(
    ("temperature", "word"), [(1.0, "calibrated"), (4.0, "too sure"), (0.25, "not sure enough")]
)
def test_a_run_is_said_to_be_too_sure_only_beyond_what_calibrated_ones_show(temperature, word):
    assert calibration(*simulated(7, temperature=temperature)).sureness == word


def test_an_arm_is_told_in_a_sentence():
    calm, sure = (calibration(*simulated(8, temperature=known)) for known in (1.0, 4.0))
    assert in_a_sentence("Freeze first", [sure]) == "Freeze first is too sure in 1 of 1 pair."
    assert in_a_sentence("Freeze first", [calm, sure, sure, sure]) == (
        "Freeze first is too sure in 3 of 4 pairs, calibrated in 1."
    )


def test_a_run_is_measured_as_a_whole_from_what_is_stored():
    probabilities, labels = simulated(6)
    stored = probabilities.astype(np.float16)
    known = calibration(stored, labels)
    confidences, right = right_and_sure(stored.astype(float), labels)
    assert known.accuracy == right.mean()
    assert known.error == pytest.approx(calibration_error(reliability(confidences, right)))
    assert known.null == null_errors(confidences)
    assert known.loss == pytest.approx(mean_loss(probabilities, labels), abs=0.01)
    assert known.brier == pytest.approx(brier_score(probabilities, labels), abs=0.01)
    assert known.temperature == pytest.approx(1, abs=0.25)
