"""The interval over seeds and validation images covers what it promises; the one over seeds alone
is about the images that were used."""

import json
import math

import numpy as np
import pytest

from tests import fake_run
from tests.conftest import tiny_study
from tests.test_evidence import no_real_processes  # noqa: F401 - for every test here
from tests.test_pages import assert_whole, visit, words
from tl_engine import cli
from tl_engine.analysis.image_variance import PairImages, image_part, in_images, over_images
from tl_engine.analysis.interval import t_interval
from tl_engine.analysis.rule import Pairs
from tl_engine.analysis.verdict import decide
from tl_engine.metric import METRICS
from tl_engine.runs import ClaimedRun, RunState

SIMULATED = 1000
SEEDS, SUITED, DIFFERING = 0.005, 0.15, 0.06
"""Standard deviation of a pair's difference and of an image's; share of images on which the two
runs of a pair differ at least. A tenth of the images suit one arm at all."""


def outcomes(random, pairs, images, difference=0.0):
    """Who is right, (pairs, images) of 1, 0 and -1: seeds, images and their interaction."""
    of_seed = random.normal(0, SEEDS, (pairs, 1))
    suits = np.where(random.random(images) < 0.1, random.choice([-1, 1], images), 0)
    mean = np.clip(difference + of_seed + suits * SUITED / math.sqrt(0.1), -1, 1)
    differ = np.maximum(DIFFERING, np.abs(mean))
    drawn = random.random((pairs, images))
    return np.where(drawn < (differ + mean) / 2, 1, np.where(drawn < differ, -1, 0))


def intervals(scored, places=None):
    """Of (pairs, images) differences: over seeds, and over seeds and images."""
    places = np.tile(np.arange(scored.shape[1]), (len(scored), 1)) if places is None else places
    pairs = [PairImages(*both) for both in zip(places, scored.astype(float), strict=True)]
    gains = scored.mean(axis=1)
    verdict = decide(Pairs(gains, "A", "B", len(gains), gains), 0.005)
    wide = over_images(verdict, pairs, 0.005, narrow=t_interval(gains, 2 * verdict.alpha))
    return verdict.interval, wide.interval


def covered(many, truth=0.0):
    """How often each interval holds the true difference."""
    return np.mean([[one.low <= truth <= one.high for one in both] for both in many], axis=0)


@pytest.mark.parametrize("images", [200, 1000, 2000])
@pytest.mark.parametrize("pairs", [5, 10, 30])
def test_over_images_the_true_difference_is_covered_as_promised(pairs, images):
    random = np.random.default_rng(1000 * pairs + images)
    many = [intervals(outcomes(random, pairs, images)) for _ in range(SIMULATED)]
    seeds, both = covered(many)
    print(f"{pairs} pairs, {images} images: {seeds:.3f} over seeds, {both:.3f} over both")
    assert 0.93 <= both <= 0.975
    assert seeds < 0.90  # of other images it never spoke


def test_where_images_suit_neither_arm_the_interval_stays_as_honest(monkeypatch):
    monkeypatch.setitem(globals(), "SUITED", 0.0)
    random = np.random.default_rng(9)
    seeds, both = covered([intervals(outcomes(random, 5, 1000)) for _ in range(SIMULATED)])
    assert 0.93 <= seeds <= both <= 0.975


def test_where_pairs_share_some_images_both_parts_are_counted():
    random = np.random.default_rng(3)

    def one(pairs=8, images=300, of=900):
        everything = outcomes(random, pairs, of)
        places = np.array([random.choice(of, images, replace=False) for _ in range(pairs)])
        return intervals(np.take_along_axis(everything, places, axis=1), places)

    seeds, both = covered([one() for _ in range(SIMULATED)])
    assert 0.93 <= both <= 0.975
    assert seeds < both


def test_where_no_two_pairs_share_an_image_the_interval_over_seeds_speaks_of_other_images():
    random = np.random.default_rng(4)
    places = np.arange(5 * 400).reshape(5, 400)
    both = intervals(outcomes(random, 5, 2000)[np.arange(5)[:, None], places], places)
    assert both[0] == pytest.approx(both[1])


def test_the_estimate_is_the_mean_square_of_a_two_way_table():
    random = np.random.default_rng(5)
    scored = outcomes(random, 6, 500).astype(float)
    part = image_part([PairImages(np.arange(500), row) for row in scored])
    images = scored.mean(axis=0)
    rest = scored - images - scored.mean(axis=1, keepdims=True) + scored.mean()
    between = 6 * ((images - images.mean()) ** 2).sum() / 499
    within = (rest**2).sum() / (499 * 5)
    assert part.variance == pytest.approx((between - within) / 6 / 500, rel=0.01)
    assert part.shared == pytest.approx(1)


def test_the_interval_is_never_narrower_and_the_same_on_every_call():
    random = np.random.default_rng(6)
    for _ in range(50):
        scored = outcomes(random, 4, 100)
        seeds, both = intervals(scored)
        assert both.low <= seeds.low
        assert seeds.high <= both.high
        assert intervals(scored)[1] == both


@pytest.mark.parametrize(
    ("difference", "spread", "suited", "words"),
    [
        (0.05, 0.001, 0.0, "The conclusion stands for other images like these, too."),
        (0.05, 0.001, 1.0, "is about these images: for others like them it is not shown."),
        (0.05, 0.001, 0.23, "the same arm is ahead, but not shown to be by what matters."),
        (0.0, 0.001, 0.0, "The conclusion stands for other images like these, too."),
        (0.0, 0.05, 0.0, "cannot be told of others either."),
    ],
)
def test_a_sentence_says_whether_the_conclusion_would_stand(difference, spread, suited, words):
    random = np.random.default_rng(7)
    of_pairs = difference + spread * np.array([-1, 1, -1, 1, 1, -1, 1, -1.0])
    of_images = suited * random.permutation(np.repeat([-1.0, 1.0], 50))
    pairs = [PairImages(np.arange(100), gain + of_images) for gain in of_pairs]
    verdict = decide(Pairs(of_pairs, "A", "B", len(of_pairs), of_pairs), 0.005)
    narrow = t_interval(of_pairs, 2 * verdict.alpha)
    found = over_images(verdict, pairs, 0.005, narrow=narrow)
    assert words in found.sentence


def test_an_amount_is_said_in_images():
    assert in_images(0.005, 1000) == "0.5 points are 5 of 1,000 images."
    assert in_images(0.005, 500) == "0.5 points are 2.5 of 500 images."
    assert in_images(0.01, 6000) == "1 point is 60 of 6,000 images."
    assert in_images(0.01, 6000, METRICS["val_loss"]) == ""


def finish(run, right):
    """A finished run with probabilities: these images are right."""
    claimed = ClaimedRun(run)
    claimed.begin()
    for epoch in range(1, fake_run.EPOCHS + 1):
        claimed.append_epoch({**fake_run.line(epoch), "val_accuracy": float(right.mean())})
    claimed.commit(fake_run.state(fake_run.EPOCHS))
    said = np.full((len(right), 10), 0.01, np.float16)
    said[np.arange(len(right)), np.where(right, 0, 1)] = 0.9
    labels, indices = np.zeros(len(right), int), np.arange(len(right))
    arrays = {"validation": said, "validation_labels": labels, "validation_indices": indices}
    splits = {"validation": {"confusion": np.eye(10, dtype=int).tolist()}}
    claimed.record_results({"splits": splits, "phases": []}, arrays)
    claimed.end(RunState.FINISHED, "Every epoch is done.", 1.0)


def test_compare_and_the_command_line_offer_both_intervals(store, monkeypatch, capsys):
    study = store.create(tiny_study(*fake_run.PHASES, pairs=5))
    random = np.random.default_rng(8)
    for run in study.runs():
        finish(run, random.random(1000) < 0.8 + 0.05 * run.arm_index)
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=study.id)
    assert_whole(app)
    assert "is about these 1,000 validation images and leaves out" in words(app)
    assert "0.5 points are 5 of 1,000 images." in words(app)
    (over,) = [one for one in app.segmented_control if one.key == "interval-over"]
    over.set_value(True).run()
    assert_whole(app)
    assert "Over seeds and validation images: " in words(app)
    assert "Two pairs share 100% of their validation images." in words(app)
    assert cli.main(["compare", study.id, "--json", "--runs-dir", str(store.root)]) == 0
    (row,) = json.loads(capsys.readouterr().out)["verdicts"]
    assert row["low_images"] <= row["low"] < row["high"] <= row["high_images"]
    assert cli.main(["compare", study.id, "--runs-dir", str(store.root)]) == 0
    assert "0.5 points are 5 of 1,000 images." in capsys.readouterr().out


def test_runs_without_probabilities_keep_their_verdict(store, monkeypatch, capsys):
    from tests.test_evidence import trained

    study = trained(store)
    app = visit("pages/2_Compare.py", store, monkeypatch, ids=study.id)
    (over,) = [one for one in app.segmented_control if one.key == "interval-over"]
    over.set_value(True).run()
    assert_whole(app)
    assert "left no probabilities of validation images" in words(app)
    assert cli.main(["compare", study.id, "--runs-dir", str(store.root)]) == 0
    assert "left no probabilities of validation images" in capsys.readouterr().out
