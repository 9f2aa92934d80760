"""Splits: sizes, proportions, and that nobody is in two of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tl_engine.catalog.datasets import dataset
from tl_engine.data import sources
from tl_engine.data.sources import Images, LabelledImages
from tl_engine.data.splits import Splits, shares, split

SEEDS = st.integers(0, 2**32)
CLASS_SIZES = st.lists(st.integers(5, 60), min_size=2, max_size=8)


def labelled(sizes, first=0):
    """Images of 2 x 2 pixels that each carry a number of their own, classes shuffled."""
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    numbers = (first + np.arange(len(labels), dtype=np.int64)).view(np.uint8).reshape(-1, 8)
    return LabelledImages(np.repeat(numbers[:, :4].reshape(-1, 2, 2, 1), 3, axis=-1), labels)


def published(sizes, with_validation=False):
    return Images(
        train=labelled(sizes),
        validation=labelled(sizes, 100_000) if with_validation else None,
        test=labelled(sizes, 200_000),
        fingerprint="made up",
    )


def numbers(images):
    return np.ascontiguousarray(images[..., 0]).reshape(-1, 4).view(np.int32).ravel()


def counts(part, classes):
    return np.bincount(part.labels, minlength=classes)


def same(one: Splits, other: Splits) -> bool:
    return all(
        np.array_equal(getattr(getattr(one, part), field), getattr(getattr(other, part), field))
        for part in ("train", "validation", "test")
        for field in ("images", "labels", "indices")
    )


def proportional(found, sizes, tolerance=1.0):
    wanted = np.array(sizes) * found.sum() / np.sum(sizes)
    return (np.abs(found - wanted) < tolerance + 1e-9).all()


@given(CLASS_SIZES, SEEDS, st.data())
def test_train_and_carved_validation_share_no_image_and_hold_every_class_in_proportion(
    sizes, seed, draw
):
    total = sum(sizes)
    carved = round(total * 0.1)
    wanted = draw.draw(st.none() | st.integers(1, total - carved))

    splits = split(published(sizes), wanted, seed)

    train, validation = counts(splits.train, len(sizes)), counts(splits.validation, len(sizes))
    assert len(splits.validation) == carved
    assert len(splits.train) == (total - carved if wanted is None else wanted)
    assert not np.intersect1d(splits.train.indices, splits.validation.indices).size
    assert proportional(validation, sizes)
    assert proportional(train, np.array(sizes) - validation)


@given(CLASS_SIZES, SEEDS, st.booleans())
def test_every_image_keeps_its_label_and_its_published_position(sizes, seed, with_validation):
    images = published(sizes, with_validation)
    splits = split(images, None, seed)
    sources = (images.train, images.validation or images.train, images.test)
    parts = (splits.train, splits.validation, splits.test)
    for part, source in zip(parts, sources, strict=True):
        assert np.array_equal(part.images, source.images[part.indices])
        assert np.array_equal(part.labels, source.labels[part.indices])
    everyone = np.concatenate([numbers(part.images) for part in parts])
    assert len(np.unique(everyone)) == len(everyone)


@given(CLASS_SIZES, SEEDS, st.booleans(), st.data())
def test_with_one_seed_a_smaller_training_set_is_inside_a_larger_one(
    sizes, seed, with_validation, draw
):
    images = published(sizes, with_validation)
    everyone = split(images, None, seed)
    larger = draw.draw(st.integers(1, len(everyone.train)))
    smaller = draw.draw(st.integers(1, larger))
    one, other = split(images, smaller, seed), split(images, larger, seed)
    assert np.isin(one.train.indices, other.train.indices).all()
    assert np.isin(other.train.indices, everyone.train.indices).all()
    assert np.array_equal(one.validation.indices, other.validation.indices)


@given(CLASS_SIZES, SEEDS)
def test_the_same_seed_gives_the_same_splits(sizes, seed):
    images = published(sizes)
    assert same(split(images, sum(sizes) // 2, seed), split(images, sum(sizes) // 2, seed))


def test_another_seed_draws_other_images_but_the_same_test():
    images = published([50] * 4)
    one, other = split(images, 40, 1), split(images, 40, 2)
    assert not np.array_equal(one.train.indices, other.train.indices)
    assert not np.array_equal(one.validation.indices, other.validation.indices)
    assert np.array_equal(one.test.indices, other.test.indices)


def test_the_test_split_never_influences_the_others():
    images = published([50] * 4)
    other = Images(images.train, None, labelled([3, 1, 9]), "made up")
    one, two = split(images, 40, 1), split(other, 40, 1)
    assert np.array_equal(one.train.indices, two.train.indices)
    assert np.array_equal(one.validation.indices, two.validation.indices)


def test_a_published_validation_split_is_left_whole_and_costs_no_training_image():
    images = published([50] * 4, with_validation=True)
    splits = split(images, None, 1)
    assert splits.validation.published is images.validation.images
    assert len(splits.train) == 200


@pytest.mark.parametrize("wanted", [-1, 0, 181])
def test_an_impossible_number_of_training_images_is_refused(wanted):
    with pytest.raises(ValueError, match=f"Training images are 1 to 180, got {wanted}"):
        split(published([50] * 4), wanted, 1)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=12), st.data())
def test_shares_stay_within_one_of_proportion_and_never_shrink(sizes, draw):
    count = draw.draw(st.integers(0, sum(sizes) - 1))
    found, after = shares(np.array(sizes), count), shares(np.array(sizes), count + 1)
    assert found.sum() == count
    assert proportional(found, sizes)
    assert (after - found).min() >= 0
    assert (after - found).sum() == 1


def test_a_rare_class_is_not_crowded_out_by_the_order_of_classes():
    assert shares(np.array([1000, *[1] * 100]), 550).tolist()[0] in (500, 501)


def test_shares_of_a_balanced_dataset_differ_by_one_at_most():
    found = shares(np.full(100, 450), 1234)
    assert (found.min(), found.max(), found.sum()) == (12, 13, 1234)


@pytest.mark.parametrize("name", ["fashion-mini", "fashion-mnist"])
def test_the_catalog_promises_as_many_training_images_as_a_split_gives(name):
    if not sources.available(name):
        pytest.skip("Debian's package dataset-fashion-mnist is not installed")
    splits = split(sources.load(name), None, 1)
    assert len(splits.train) == dataset(name).default_train
    assert np.ptp(np.bincount(splits.train.labels)) == 0


def test_a_split_copies_no_image_before_it_is_taken():
    images = published([50] * 4)
    splits = split(images, 40, 1)
    assert splits.train.published is splits.validation.published is images.train.images
    assert np.array_equal(splits.train.take(np.array([3, 1])), splits.train.images[[3, 1]])
