"""Precision and XLA: what suits the machine is proposed, what the recipe says is done."""

import keras
import numpy as np
import pytest

from tests.test_cache import trained
from tl_engine import machine
from tl_engine.catalog.presets import PRESETS
from tl_engine.execution.kill_test import bits
from tl_engine.recipe import PRECISIONS, Phase

PHASES = (Phase("all", 1, 1e-3), Phase("head", 2, 1e-2))


def test_a_machine_with_a_gpu_is_proposed_half_precision_and_xla(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "DRIVER", tmp_path / "gpus")
    assert machine.recommended_settings() == {"precision": "float32", "xla": False}
    (tmp_path / "gpus").mkdir()
    assert machine.recommended_settings() == {"precision": "float32", "xla": False}
    (tmp_path / "gpus" / "0000:01:00.0").mkdir()
    assert machine.recommended_settings() == {"precision": "mixed float16", "xla": True}
    recipe = PRESETS["try-it"].study(**machine.recommended_settings()).arms[0].recipe
    assert (recipe.precision, recipe.xla) == ("mixed float16", True)
    assert machine.recommended_settings(augmentation=True)["xla"] is False  # it cannot be compiled


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_recipe_decides_the_precision_on_any_machine(store, monkeypatch, precision):
    run = trained(store, *PHASES, precision=precision)
    model = keras.models.load_model(run.path / "model.keras")
    (network,) = (layer for layer in model.layers if isinstance(layer, keras.Model))
    body = {layer.compute_dtype for layer in network.layers if layer.weights}
    assert body == {"float32" if precision == "float32" else "float16"}
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert model.get_layer("head").compute_dtype == "float32"
    first, last = run.epochs()[0], run.epochs()[-1]
    assert np.isfinite(last["val_loss"]) and last["val_loss"] < first["val_loss"]
    monkeypatch.setenv("THAW_FEATURES", "off")
    assert bits(trained(store, *PHASES, precision=precision)) == bits(run)


def test_xla_trains_the_same_way_each_time_but_not_as_without_it(store, monkeypatch):
    compiled = trained(store, *PHASES, xla=True)
    plain = trained(store, *PHASES)
    assert bits(compiled) != bits(plain)  # it sums in another order, and its dropout draws others
    losses = [[line["val_loss"] for line in run.epochs()] for run in (compiled, plain)]
    np.testing.assert_allclose(*losses, rtol=1e-2)
    monkeypatch.setenv("THAW_CACHE_GB", "1")
    for _ in range(2):  # cold, then warm
        assert bits(trained(store, *PHASES, xla=True)) == bits(compiled)


@pytest.mark.parametrize(
    ("flags", "kernels"), [("fma avx avx2", "oneDNN"), ("avx2 avx512_vnni", None), ("", "oneDNN")]
)
def test_kernels_are_recorded_where_they_are_others_than_tensorflow_s_own_choice(
    flags, kernels, monkeypatch
):
    monkeypatch.setattr(machine, "_facts_of_processor", lambda name: [flags])
    assert machine.description().get("kernels") == kernels
