"""Agreement and mistakes: which images are behind a number."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from tl_engine.analysis.agreement import (
    CELLS,
    agreement_counts,
    cohens_kappa,
    disagreement,
    in_agreement,
    mcnemar_p,
    seed_disagreement,
)
from tl_engine.analysis.predictions import (
    by_confidence,
    check_same_images,
    confused_pairs,
    confusion_counts,
    in_cell,
    joined,
    misclassified,
    once_each,
    only_in_first,
    predictions,
)
from tl_engine.errors import ComparisonError

CLASSES = 4


def said(labels, predicted, confidences=None, pair=1, indices=None):
    """Predictions of these classes with these confidences."""
    labels, predicted = np.asarray(labels, np.int64), np.asarray(predicted, np.int64)
    sure = np.full(len(labels), 0.75) if confidences is None else np.asarray(confidences)
    probabilities = np.repeat(((1 - sure) / (CLASSES - 1))[:, None], CLASSES, axis=1)
    probabilities[np.arange(len(labels)), predicted] = sure
    places = np.arange(len(labels)) if indices is None else np.asarray(indices)
    return predictions(probabilities.astype(np.float16), labels, places, pair)


@st.composite
def arms(draw):
    """What two arms said of the same images, with confidences above chance."""
    n = draw(st.integers(1, 30))
    classes = st.lists(st.integers(0, CLASSES - 1), min_size=n, max_size=n)
    sure = st.lists(st.sampled_from([0.4, 0.5, 0.75, 1.0]), min_size=n, max_size=n)
    labels = draw(classes)
    return [said(labels, draw(classes), draw(sure)) for _ in range(2)]


@given(arms())
def test_every_image_is_in_one_cell_of_the_agreement(two):
    counts = agreement_counts(*two)
    cells = [in_agreement(*two, who) for who in CELLS]
    assert sorted(np.concatenate(cells)) == list(range(len(two[0])))
    assert [len(cell) for cell in cells] == [counts[at] for at in CELLS.values()]
    assert counts[0].sum() == two[0].right.sum()
    assert counts[:, 0].sum() == two[1].right.sum()


@given(arms())
def test_agreement_the_other_way_round_is_its_transpose(two):
    assert (agreement_counts(*two) == agreement_counts(*reversed(two)).T).all()
    assert list(in_agreement(*two, "first")) == list(in_agreement(*reversed(two), "second"))


def test_only_the_same_images_in_the_same_order_are_compared():
    one = said([0, 1, 2], [0, 1, 1])
    check_same_images(one, said([0, 1, 2], [2, 2, 2]))
    for other, what in (
        (said([0, 1], [0, 1]), "got 3 of 4 classes and 2 of 4"),
        (said([0, 1, 2], [0, 1, 1], indices=[0, 2, 1]), "the indices of 2 of 3 rows differ"),
        (said([0, 1, 1], [0, 1, 1]), "the labels of 1 of 3 rows differ"),
        (said([0, 1, 2], [0, 1, 1], pair=2), "the pairs of 3 of 3 rows differ"),
    ):
        for refuse in (check_same_images, agreement_counts):
            with pytest.raises(ComparisonError, match=what):
                refuse(one, other)
        with pytest.raises(ComparisonError, match=what):
            only_in_first(one, other, 0, 1)


def test_kappa_is_that_of_cohen():
    # Cohen's own way of counting: 0.7 observed, 0.5 by chance.
    assert cohens_kappa(np.array([[20, 5], [10, 15]])) == pytest.approx(0.4)
    assert cohens_kappa(np.diag([3, 4, 5])) == pytest.approx(1)
    assert cohens_kappa(np.outer([3, 7], [6, 4])) == pytest.approx(0)
    assert np.isnan(cohens_kappa(np.array([[9, 0], [0, 0]])))
    assert np.isnan(cohens_kappa(np.zeros((2, 2), int)))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_the_exact_test_of_who_is_right_alone(first, second):
    counts = np.array([[50, first], [second, 50]])
    expected = binomtest(first, first + second).pvalue if first + second else 1.0
    assert mcnemar_p(counts) == pytest.approx(expected)


def test_disagreement_is_of_classes_not_of_who_is_right():
    one, other = said([0, 1, 2, 3], [0, 1, 1, 0]), said([0, 1, 2, 3], [0, 2, 1, 1])
    assert disagreement(one, other) == 0.5  # both wrong on the last image, in two ways
    with pytest.raises(ComparisonError):
        disagreement(one, said([0], [0]))


def test_the_reference_is_every_couple_of_seeds_over_common_images():
    runs = [said([0, 0], [0, n], pair=n) for n in (1, 2, 3)]
    assert seed_disagreement(runs) == (0.5, 3)
    one = said([0, 1, 2, 3], [0, 1, 1, 0], indices=[1, 2, 3, 4])
    other = said([3, 2, 1], [1, 1, 1], pair=2, indices=[4, 3, 2])
    assert seed_disagreement([one, other]) == (pytest.approx(1 / 3), 1)
    strangers = said([0, 0], [0, 1], indices=[7, 8])
    share, couples = seed_disagreement([one, strangers])
    assert np.isnan(share)
    assert couples == 0
    assert seed_disagreement([one]).couples == seed_disagreement([]).couples == 0


@given(arms())
def test_the_misclassified_come_first_and_all_of_them_do(two):
    positions = misclassified(two[0])
    assert set(positions) == set(np.flatnonzero(~two[0].right))
    assert (np.diff(two[0].confidences[positions]) <= 0).all()


def test_equally_sure_mistakes_keep_their_order():
    one = said([0] * 5, [1] * 5, [0.5, 0.75, 0.5, 0.75, 0.5])
    assert list(by_confidence(one, np.arange(5))) == [1, 3, 0, 2, 4]


@given(arms())
def test_a_cell_has_as_many_images_as_the_confusion_counts(two):
    first, second = two
    ours, theirs = (confusion_counts(arm.labels, arm.predicted, CLASSES) for arm in two)
    for cell in np.ndindex(CLASSES, CLASSES):
        assert len(in_cell(first, *cell)) == ours[cell]
        gained, lost = only_in_first(first, second, *cell), only_in_first(second, first, *cell)
        assert len(gained) - len(lost) == ours[cell] - theirs[cell]
        assert set(gained) == set(in_cell(first, *cell)) - set(in_cell(second, *cell))


def test_of_several_seeds_an_image_is_shown_once_with_how_often_it_was_so():
    runs = [
        said([0, 0, 1], [1, 0, 2], sure, pair)
        for pair, sure in ((1, [0.5, 0.9, 0.6]), (2, [0.9, 0.9, 0.5]))
    ]
    both = joined(runs)
    positions, times, of = once_each(both, misclassified(both))
    assert list(both.indices[positions]) == [0, 2]
    assert list(both.confidences[positions]) == pytest.approx([0.9, 0.6], abs=1e-3)
    assert list(times) == list(of) == [2, 2]


def test_an_image_that_not_every_seed_has_is_counted_among_those_that_do():
    runs = [
        said([0, 0], [1, 1], [0.9, 0.8], 1, indices=[4, 5]),
        said([0, 0], [0, 1], [0.9, 0.7], 2, indices=[5, 6]),
    ]
    both = joined(runs)
    positions, times, of = once_each(both, misclassified(both))
    assert list(both.indices[positions]) == [4, 5, 6]
    assert list(times) == [1, 1, 1]
    assert list(of) == [1, 2, 1]


def test_no_position_is_no_image():
    for counts in once_each(said([0], [0]), np.array([], np.int64)):
        assert len(counts) == 0


def test_classes_are_confused_in_both_directions():
    counts = np.array([[10, 3, 0], [4, 10, 5], [0, 0, 0]])
    pairs = confused_pairs(counts)
    assert pairs.to_numpy().tolist() == [[0, 1, 7, 3, 4], [1, 2, 5, 5, 0]]
    assert list(pairs.columns) == ["one", "other", "images", "one_as_other", "other_as_one"]
    assert confused_pairs(np.diag([1, 2])).empty


@given(arms())
def test_confused_pairs_count_every_mistake_once(two):
    counts = confusion_counts(two[0].labels, two[0].predicted, CLASSES)
    mistakes = (~two[0].right).sum()
    assert confused_pairs(counts)["images"].sum() == mistakes
