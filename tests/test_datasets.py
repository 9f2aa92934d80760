"""Datasets: the catalog, the shipped images, and files in the published formats."""

import gc
import gzip
import io
import pickle
import shutil
import struct
import sys
import tarfile
import threading
import urllib.request
from pathlib import Path
from typing import ClassVar

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import build_fashion_mini
from tl_engine.catalog.datasets import DATASETS, dataset
from tl_engine.data import registry, sources
from tl_engine.errors import CatalogError, DataUnavailable
from tl_engine.learning import run_data

DEBIAN = registry.DEBIAN
WITHOUT_DEBIAN = "Debian's package dataset-fashion-mnist is not installed"
FETCHED = tuple(run_data.LOADERS)
SHIPPED_FINGERPRINT = "a8068803ca5743db7ac3a97380de23fff6352d5e74c94ed47aefd82e761a1b1a"


def grey(count, seed=0):
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, 28, 28), dtype=np.uint8)


def labels(count):
    return (np.arange(count) % 10).astype(np.uint8)


SMALL = {
    "train_images": grey(30),
    "train_labels": labels(30),
    "test_images": grey(20, 1),
    "test_labels": labels(20),
}


def write_idx(path, array):
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()))


def write_four_idx(folder):
    for array, file in registry.IDX.items():
        write_idx(folder / file, SMALL[array])


def write_prepared(name):
    for array, values in SMALL.items():
        registry.prepared_folder(name).mkdir(parents=True, exist_ok=True)
        np.save(registry.prepared_folder(name) / f"{array}.npy", values)


def write_tar(path, files):
    with tarfile.open(path, "w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


class Python2Pickler(pickle._Pickler):
    """Writes text and bytes as Python 2 did, which is how both CIFARs were published."""

    dispatch: ClassVar = dict(pickle._Pickler.dispatch)

    def save_string(self, text):
        content = text.encode("latin-1") if isinstance(text, str) else text
        self.write(pickle.BINSTRING + struct.pack("<i", len(content)) + content)
        self.memoize(text)

    dispatch[str] = dispatch[bytes] = save_string


def batch(label_key, label):
    """A CIFAR batch of one image as published: 1,024 reds, then greens, then blues."""
    pixels = np.repeat(np.array([10 + label, 20, 30], np.uint8), 32 * 32)[None]
    pixels[0, 1] = 99  # the second pixel of the first row is redder
    file = io.BytesIO()
    Python2Pickler(file, protocol=2).dump({"data": pixels, label_key: [label]})
    # NumPy's module of that time, and numbers where it writes False and True today
    old = (b"cnumpy._core.", b"cnumpy.core."), (b"\x89\x88\x87", b"K\x00K\x01\x87")
    content = file.getvalue()
    for today, then in old:
        assert content.count(today) == 1
        content = content.replace(today, then)
    return content


def write_published(name, datasets):
    """A small file in the published format, under the name by which Keras finds it."""
    place = datasets / next(iter(run_data.CACHED[name].values()))
    place.parent.mkdir(parents=True, exist_ok=True)
    if name == "mnist":
        parts = {key.replace("images", "x").replace("labels", "y"): v for key, v in SMALL.items()}
        np.savez(place, **{"_".join(reversed(key.split("_"))): v for key, v in parts.items()})
    elif name == "fashion-mnist":
        write_four_idx(place.parent)
    elif name == "cifar10":  # Keras expects 10,000 images a batch: one is repeated in all places
        files = {f"data_batch_{number}": batch("labels", number) for number in range(1, 6)}
        files["test_batch"] = batch("labels", 9)
        write_tar(place, {f"cifar-10-batches-py/{file}": files[file] for file in files})
    else:
        files = {"train": batch("fine_labels", 77), "test": batch("fine_labels", 99)}
        write_tar(place, {f"cifar-100-python/{file}": files[file] for file in files})
    return place


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """An empty folder of Keras, no network, no Debian; gone afterwards, CIFAR-10 is large."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    for scheme in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(scheme, "http://127.0.0.1:9")
    monkeypatch.setattr(urllib.request, "_opener", None)
    monkeypatch.setattr(registry, "DEBIAN", tmp_path / "no-debian")
    keras_finds_files_in(monkeypatch, home)
    sources._load.cache_clear()
    yield home
    sources._load.cache_clear()
    shutil.rmtree(home)


def keras_finds_files_in(monkeypatch, home, **options):
    """Keras chose its folder when it was imported; `file_hash=None` admits small files."""

    def get_file(*args, **asked):
        return keras.utils.get_file(*args, **{**asked, "cache_dir": str(home), **options})

    for module in ("cifar10", "cifar100", "mnist", "fashion_mnist"):
        monkeypatch.setattr(sys.modules[f"keras.src.datasets.{module}"], "get_file", get_file)


# The catalog


def test_the_catalog_names_five_datasets():
    assert tuple(DATASETS) == ("fashion-mini", "fashion-mnist", "cifar10", "cifar100", "mnist")
    assert [dataset(name).classes for name in DATASETS] == [10, 10, 10, 100, 10]
    assert dataset("cifar100").class_names[:3] == ("apple", "aquarium_fish", "baby")


@pytest.mark.parametrize("name", DATASETS)
def test_class_names_are_told_apart(name):
    names = dataset(name).class_names
    assert len(set(names)) == len(names)


def test_an_unknown_dataset_is_refused_with_those_there_are():
    with pytest.raises(CatalogError, match=r"no dataset 'imagenet': choose fashion-mini, .*mnist"):
        dataset("imagenet")


def test_validation_is_carved_only_where_none_is_published():
    assert dataset("cifar10").default_train == 45_000
    assert dataset("fashion-mnist").default_train == 54_000
    assert dataset("fashion-mini").default_train == 5_000


# The shipped images


@pytest.mark.parametrize("name", ["fashion-mini", "fashion-mnist"])
def test_the_images_are_as_many_as_the_catalog_says_and_balanced(name):
    if not sources.available(name):
        pytest.skip(WITHOUT_DEBIAN)
    images, described = sources.load(name), dataset(name)
    parts = {"train": images.train, "validation": images.validation, "test": images.test}
    for part, expected in ((part, getattr(described, part)) for part in parts):
        if expected:
            assert parts[part].images.shape == (expected, 28, 28, 3)
            assert np.ptp(np.bincount(parts[part].labels, minlength=10)) == 0
        else:
            assert parts[part] is None


def test_the_shipped_images_are_small_and_never_change():
    assert registry.SHIPPED.stat().st_size < 5_000_000
    assert sources.load("fashion-mini").fingerprint == SHIPPED_FINGERPRINT


def test_the_shipped_images_are_rebuilt_byte_for_byte(tmp_path):
    if not all((DEBIAN / file).exists() for file in registry.IDX.values()):
        pytest.skip(WITHOUT_DEBIAN)
    build_fashion_mini.main(tmp_path / "rebuilt.npz")
    assert (tmp_path / "rebuilt.npz").read_bytes() == registry.SHIPPED.read_bytes()


def test_the_shipped_splits_take_their_images_from_the_right_files_and_share_none():
    rows = np.arange(10 * 700)
    published = {
        f"{part}_{kind}": rows % 10 if kind == "labels" else rows + begin
        for part, begin in (("train", 0), ("test", 100_000))
        for kind in ("images", "labels")
    }
    chosen = build_fashion_mini.select(published)
    assert not np.intersect1d(chosen["train_images"], chosen["validation_images"]).size
    assert max(chosen["train_images"].max(), chosen["validation_images"].max()) < 100_000
    assert chosen["test_images"].min() >= 100_000
    assert [len(chosen[f"{part}_labels"]) for part in ("train", "validation", "test")] == [
        5000,
        1000,
        2000,
    ]


def test_a_damaged_shipped_file_says_what_to_do(tmp_path, monkeypatch):
    damaged = tmp_path / "fashion-mini.npz"
    damaged.write_bytes(registry.SHIPPED.read_bytes()[:100_000])
    monkeypatch.setattr(registry, "SHIPPED", damaged)
    sources._load.cache_clear()
    with pytest.raises(DataUnavailable, match=r"restore fashion-mini\.npz from Thaw's repository"):
        sources.load("fashion-mini")


# Loading


def test_grey_images_have_three_equal_channels_without_a_copy():
    images = sources.load("fashion-mini").train.images
    assert images.dtype == np.uint8
    assert images.strides[-1] == 0
    assert np.array_equal(images[7, :, :, 0], images[7, :, :, 2])


def test_shared_images_and_labels_cannot_be_changed_by_accident():
    train = sources.load("fashion-mini").train
    for array in (train.images, train.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_threads_that_ask_at_once_share_one_copy():
    sources._load.cache_clear()
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(sources.load("fashion-mini")))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len({id(images) for images in found}) == 1


def test_the_original_files_are_read(keras_home, monkeypatch):
    monkeypatch.setattr(registry, "DEBIAN", keras_home / "debian")
    assert not sources.available("fashion-mnist")
    write_four_idx(registry.DEBIAN)
    assert sources.available("fashion-mnist")
    images = sources.load("fashion-mnist")
    assert np.array_equal(images.train.images[..., 1], SMALL["train_images"])
    assert np.array_equal(images.test.labels, SMALL["test_labels"])
    assert images.train.labels.dtype == np.int64
    assert images.validation is None
    assert len(images.train) == 30


def test_the_fingerprint_is_the_same_for_every_source(keras_home, monkeypatch):
    write_prepared("fashion-mnist")
    prepared = sources.load("fashion-mnist")
    monkeypatch.setattr(registry, "DEBIAN", keras_home / "debian")
    write_four_idx(registry.DEBIAN)
    sources._load.cache_clear()
    assert sources.load("fashion-mnist").fingerprint == prepared.fingerprint


@pytest.mark.parametrize("array", registry.ARRAYS)
def test_one_other_value_gives_another_fingerprint(keras_home, array):
    write_prepared("mnist")
    before = sources.load("mnist").fingerprint
    values = SMALL[array].copy()
    values.flat[-1] ^= 1
    np.save(registry.prepared_folder("mnist") / f"{array}.npy", values)
    sources._load.cache_clear()
    assert sources.load("mnist").fingerprint != before


@pytest.mark.parametrize("name", FETCHED)
def test_a_dataset_that_is_not_here_says_so_in_a_sentence(keras_home, name):
    assert not sources.available(name)
    with pytest.raises(DataUnavailable, match=f"{dataset(name).title} is not on this machine yet"):
        sources.load(name)


@pytest.mark.parametrize("kept", [0, 3, 40, -200])
def test_a_truncated_original_file_is_refused_with_its_remedy(keras_home, monkeypatch, kept):
    monkeypatch.setattr(registry, "DEBIAN", keras_home / "debian")
    write_four_idx(registry.DEBIAN)
    file = registry.DEBIAN / registry.IDX["train_images"]
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(DataUnavailable, match="reinstall Debian's package dataset-fashion-mnist"):
        sources.load("fashion-mnist")


@pytest.mark.parametrize(
    ("array", "values", "words"),
    [
        ("train_images", grey(29), r"a label each, got uint8 \(29, 28, 28\) and 30 labels"),
        ("train_images", grey(30)[:, :5], r"bytes of shape \(28, 28\) .* got uint8 \(30, 5, 28\)"),
        ("train_images", grey(30).astype(float), "got float64"),
        ("train_images", np.repeat(grey(30)[..., None], 3, -1), "got uint8 .*30, 28, 28, 3"),
        ("test_labels", labels(20) + 1, "test labels should be 0 to 9, got 1 to 10"),
        ("test_labels", np.array(["shoe"] * 20), "invalid literal"),
    ],
)
def test_arrays_that_do_not_fit_the_catalog_are_refused(keras_home, array, values, words):
    write_prepared("mnist")
    np.save(registry.prepared_folder("mnist") / f"{array}.npy", values)
    with pytest.raises(DataUnavailable, match=f"MNIST cannot be read .*{words}.*: remove "):
        sources.load("mnist")


def test_empty_arrays_are_refused(keras_home):
    write_prepared("mnist")
    for array in ("test_images", "test_labels"):
        np.save(registry.prepared_folder("mnist") / f"{array}.npy", SMALL[array][:0])
    with pytest.raises(DataUnavailable, match="test labels should be 0 to 9, got none"):
        sources.load("mnist")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("test_labels", b"PK\x03\x04", 0, False)  # an array that says it is a zip archive
@given(
    st.sampled_from(registry.ARRAYS), st.binary(max_size=200), st.integers(0, 200), st.booleans()
)
def test_damaged_files_are_read_or_refused_with_a_sentence(
    keras_home, monkeypatch, array, wrong, place, packed
):
    if packed:
        monkeypatch.setattr(registry, "DEBIAN", keras_home / "debian")
        write_four_idx(registry.DEBIAN)
        file = registry.DEBIAN / registry.IDX[array]
        content = bytearray(gzip.decompress(file.read_bytes()))
        content[place : place + len(wrong)] = wrong
        file.write_bytes(gzip.compress(content))
    else:
        monkeypatch.setattr(registry, "DEBIAN", keras_home / "no-debian")
        write_prepared("fashion-mnist")
        file = registry.prepared_folder("fashion-mnist") / f"{array}.npy"
        content = bytearray(file.read_bytes())
        content[place : place + len(wrong)] = wrong
        file.write_bytes(content)
    sources._load.cache_clear()
    try:
        assert len(sources.load("fashion-mnist").fingerprint) == 64
    except DataUnavailable as error:
        assert str(error).startswith("The images of Fashion-MNIST cannot be read (")


# Fetching through keras.datasets


@pytest.mark.parametrize("name", FETCHED)
def test_a_published_file_put_where_keras_looks_is_prepared(keras_home, monkeypatch, name):
    keras_finds_files_in(monkeypatch, keras_home, file_hash=None)
    write_published(name, keras_home / "datasets")

    run_data.prepare(name)

    assert sources.available(name)
    images, described = sources.load(name), dataset(name)
    assert images.train.images.shape[1:] == (described.height, described.width, 3)
    if described.channels == 1:
        assert np.array_equal(images.test.images[..., 2], SMALL["test_images"])
        assert np.array_equal(images.train.labels, SMALL["train_labels"])
    else:
        first, last = {"cifar10": (1, 9), "cifar100": (77, 99)}[name]
        assert (images.train.labels[0], images.test.labels[0]) == (first, last)
        assert images.train.images[0, 0, 0].tolist() == [10 + first, 20, 30]
        assert images.train.images[0, 0, 1].tolist() == [99, 20, 30]
        assert images.train.images[0, 1, 0].tolist() == [10 + first, 20, 30]


@pytest.mark.parametrize("name", FETCHED)
def test_without_a_network_one_sentence_says_which_file_goes_where(keras_home, name):
    with pytest.raises(DataUnavailable, match="could not be fetched") as refused:
        run_data.prepare(name)
    sentence, datasets = str(refused.value), keras_home / "datasets"
    assert sentence.startswith(f"{dataset(name).title} is not on this machine")
    assert "Fashion-MNIST mini, which comes with Thaw." in sentence
    assert "\n" not in sentence
    for published, path in run_data.CACHED[name].items():
        assert published in sentence
        assert (datasets / path).name in sentence
        assert str((datasets / path).parent) in sentence
    assert not sources.available(name)


def test_keras_insists_on_the_original_archive(keras_home):
    write_published("cifar100", keras_home / "datasets")
    with pytest.raises(DataUnavailable, match=r"put the original cifar-100-python\.tar\.gz under"):
        run_data.prepare("cifar100")


@pytest.mark.filterwarnings("ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", FETCHED)
@pytest.mark.parametrize("kept", [0, 100])
def test_a_damaged_download_is_named_and_can_be_removed(keras_home, monkeypatch, name, kept):
    keras_finds_files_in(monkeypatch, keras_home, file_hash=None)
    place = write_published(name, keras_home / "datasets")
    place.write_bytes(place.read_bytes()[:kept])
    with pytest.raises(DataUnavailable, match=f"are damaged .*: remove {place.name}.* from ") as no:
        run_data.prepare(name)
    assert str(place.parent) in str(no.value)
    assert not sources.available(name)
    del no
    gc.collect()  # NumPy leaves a damaged mnist.npz open until then, and Python says so


@pytest.mark.parametrize("missing", registry.ARRAYS)
def test_what_a_killed_process_left_half_prepared_is_completed(keras_home, monkeypatch, missing):
    keras_finds_files_in(monkeypatch, keras_home, file_hash=None)
    write_published("mnist", keras_home / "datasets")
    write_prepared("mnist")
    (registry.prepared_folder("mnist") / f"{missing}.npy").unlink()
    assert not sources.available("mnist")
    run_data.prepare("mnist")
    assert len(sources.load("mnist").train) == 30


def test_of_several_at_once_one_fetches(keras_home, monkeypatch):
    keras_finds_files_in(monkeypatch, keras_home, file_hash=None)
    write_published("mnist", keras_home / "datasets")
    load, fetched = run_data.LOADERS["mnist"], []
    monkeypatch.setitem(run_data.LOADERS, "mnist", lambda: fetched.append(1) or load())
    threads = [threading.Thread(target=run_data.prepare, args=("mnist",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fetched == [1]
    names = {path.name for path in registry.prepared_folder("mnist").iterdir()}
    assert names == {".lock", *(f"{array}.npy" for array in registry.ARRAYS)}


def test_a_folder_that_cannot_be_written_is_named_before_anything_is_fetched(
    keras_home, monkeypatch
):
    (keras_home / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(keras_home / "file"))
    monkeypatch.setitem(run_data.LOADERS, "mnist", lambda: pytest.fail("it was fetched"))
    with pytest.raises(DataUnavailable, match=r"MNIST cannot be kept in .*set KERAS_HOME to"):
        run_data.prepare("mnist")


def test_what_ships_needs_no_fetching(keras_home):
    run_data.prepare("fashion-mini")
    assert list(Path(keras_home).iterdir()) == []


def test_the_folder_of_keras_may_begin_with_a_tilde(monkeypatch):
    monkeypatch.setenv("KERAS_HOME", "~/models")
    assert registry.prepared_folder("mnist") == Path.home() / "models/datasets/thaw-mnist"
    monkeypatch.delenv("KERAS_HOME")
    assert registry.prepared_folder("mnist") == Path.home() / ".keras/datasets/thaw-mnist"
