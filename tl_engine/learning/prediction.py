"""The process behind a Predictor: `python -m tl_engine.learning.prediction FD RUNS`.

Networks are rebuilt from the recipe and filled from the run's checkpoint, whose sha256 is
checked; nothing is deserialised into code.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
import warnings
from functools import lru_cache
from multiprocessing.connection import Connection
from typing import NamedTuple

import keras
import numpy as np

from tl_engine.errors import StoreError, ThawError
from tl_engine.learning import model as networks
from tl_engine.learning.batches import Reader
from tl_engine.learning.device import prepare_device
from tl_engine.recipe import Recipe
from tl_engine.runs import ClaimedRun, Run, RunStore

KEPT_MODELS = 3


class Network(NamedTuple):
    """A finished run's network: the whole of it, to be asked, and up to the picture as it is
    seen; and the recipe whose network it is."""

    recipe: Recipe
    whole: keras.Model
    reader: Reader
    as_seen: keras.Model


def load(run: Run, known: Network | None = None) -> Network:
    """The network of a finished run.

    Args:
        known: a network of another run, which is of no more use: where both runs train the same
            one, its variables are replaced, and what was traced for it serves again.

    Raises:
        StoreError: where its checkpoint is missing or damaged.
    """
    arrays = run.model_arrays()
    if known is None or known.recipe != run.recipe.network:
        model = networks.build_model(run.recipe, run.seeds, weights=False)
        seen = keras.Model(model.inputs[0], model.get_layer(networks.AS_SEEN).output)
        known = Network(run.recipe.network, model, Reader(model), seen)
    networks.assign(known.whole.variables, arrays)
    return known


def export_h5(run: Run) -> None:
    """Write model.h5 beside model.keras.

    Raises:
        StoreError: where the run has no trained model, or the disk no room for it.
    """
    needed = 2 * run.bytes_on_disk()  # HDF5's own answer to a full disk can be a crash
    if shutil.disk_usage(run.path).free < needed:
        raise StoreError(f"Disk full: {needed / 1e6:.0f} MB needed for model.h5.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls the format legacy; it was asked for by name
        ClaimedRun(run).save_model(load(run).whole.save, "h5")


def classify(network: Network, images: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities float32 (n, classes) and pictures as seen uint8 (n, size, size, 3)."""
    # Resizing alone needs no traced graph, and one batch needs none of predict()'s pipeline.
    seen = np.asarray(network.as_seen(images))
    return {
        "probabilities": network.reader.ask(images),
        "as_seen": np.clip(np.rint(seen), 0, 255).astype(np.uint8),
    }


def serve(connection: Connection, store: RunStore) -> None:
    """Answer questions until the other end closes."""

    @lru_cache(maxsize=KEPT_MODELS)
    def kept(run_id: str) -> Network:
        return load(store.run(run_id))

    while True:
        try:
            question = json.loads(connection.recv_bytes())
            images = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(question["shape"])
        except EOFError:
            return
        try:
            answer = classify(kept(question["run"]), images)
        except ThawError as error:
            answer = {"error": np.array(str(error))}
        except Exception as error:
            answer = {"error": np.array(f"The model cannot classify: {error}"[:500])}
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, **answer)
        connection.send_bytes(buffer.getvalue())


if __name__ == "__main__":
    prepare_device(os.cpu_count() or 1)
    serve(Connection(int(sys.argv[1])), RunStore(sys.argv[2]))
