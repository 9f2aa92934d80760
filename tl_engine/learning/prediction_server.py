"""The process behind a Predictor: `python -m tl_engine.learning.prediction_server FD RUNS`.

Networks are rebuilt from the recipe and filled from the run's checkpoint, whose sha256 is
checked; nothing is deserialised into code.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import sys
import warnings
from dataclasses import dataclass
from functools import cached_property, lru_cache
from multiprocessing.connection import Connection

import keras
import numpy as np

from tl_engine.errors import StoreError, ThawError
from tl_engine.learning import model as networks
from tl_engine.learning.batches import Reader
from tl_engine.learning.device import prepare_device
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_outputs import bytes_on_disk, model_arrays, write_model

KEPT_NETWORKS, KEPT_RUNS = 3, 2
"""Networks with what was traced for them; runs whose variables are in memory."""


@dataclass(frozen=True)
class Network:
    """A finished run's network: the whole of it, to be asked, and up to the picture as it is
    seen; and the recipe whose network it is."""

    recipe: Recipe
    whole: keras.Model
    reader: Reader
    as_seen: keras.Model

    @cached_property
    def halves(self) -> tuple[Reader, Reader]:
        """From pixels to what the head is fed, and from there on."""
        fed = self.whole.get_layer("head").input
        return Reader(networks.below(self.whole, fed)), Reader(networks.above(self.whole, fed))


class Networks:
    """The networks of the runs that were asked last. Runs that train the same one share it, with
    what was traced for it: putting other variables in takes milliseconds, building seconds."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._arrays = lru_cache(maxsize=KEPT_RUNS)(lambda run: model_arrays(store.run(run)))
        self._kept: dict[Recipe, Network] = {}
        self._inside: dict[Recipe, str] = {}
        self._fed: dict[tuple[object, ...], np.ndarray] = {}

    def classify(self, run_id: str, images: np.ndarray) -> dict[str, np.ndarray]:
        """What the function of that name says; the same images pass a backbone that no phase has
        changed once, whichever of the runs on it is asked."""
        network, run = self.of(run_id), self._store.run(run_id)
        if not run.recipe.is_pristine:
            return classify(network, images)
        below, head = network.halves
        body = None if run.recipe.pretrained else run.seeds
        key = (run.recipe.network, body, hashlib.sha256(images.tobytes()).hexdigest(), images.shape)
        if key not in self._fed:
            self._fed = {key: below.ask(images)}  # of the last images alone
        return {"probabilities": head.ask(self._fed[key]), "as_seen": seen(network, images)}

    def of(self, run_id: str) -> Network:
        """A finished run's network. Errors as those of `load`."""
        run = self._store.run(run_id)
        key = run.recipe.network
        network = self._kept.pop(key, None)
        if network is None or self._inside.get(key) != run_id:
            self._inside.pop(key, None)  # until all of its variables are in
            network = _filled(run, self._arrays(run_id), network)
            self._inside[key] = run_id
        self._kept[key] = network  # the one that was asked last is the last
        for oldest in list(self._kept)[:-KEPT_NETWORKS]:
            del self._kept[oldest], self._inside[oldest]
        return network


def load(run: Run, known: Network | None = None) -> Network:
    """The network of a finished run.

    Args:
        known: a network of another run, which is of no more use: where both runs train the same
            one, its variables are replaced, and what was traced for it serves again.

    Raises:
        StoreError: where its checkpoint is missing or damaged.
    """
    return _filled(run, model_arrays(run), known)


def _filled(run: Run, arrays: dict[str, np.ndarray], known: Network | None) -> Network:
    if known is None or known.recipe != run.recipe.network:
        model = networks.build_model(run.recipe, run.seeds, weights=False)
        as_seen = keras.Model(model.inputs[0], model.get_layer(networks.AS_SEEN).output)
        known = Network(run.recipe.network, model, Reader(model), as_seen)
    networks.assign(known.whole.variables, arrays)
    return known


def export_h5(run: Run) -> None:
    """Write model.h5 beside model.keras.

    Raises:
        StoreError: where the run has no trained model, or the disk no room for it.
    """
    needed = 2 * bytes_on_disk(run)  # HDF5's own answer to a full disk can be a crash
    if shutil.disk_usage(run.path).free < needed:
        raise StoreError(f"Disk full: {needed / 1e6:.0f} MB needed for model.h5.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls the format legacy; it was asked for by name
        write_model(run, load(run).whole.save, "h5")


def classify(network: Network, images: np.ndarray) -> dict[str, np.ndarray]:
    """Probabilities float32 (n, classes) and pictures as seen uint8 (n, size, size, 3)."""
    return {"probabilities": network.reader.ask(images), "as_seen": seen(network, images)}


def seen(network: Network, images: np.ndarray) -> np.ndarray:
    """The pictures as the network sees them, uint8 (n, size, size, 3)."""
    # Resizing alone needs no traced graph.
    return np.clip(np.rint(np.asarray(network.as_seen(images))), 0, 255).astype(np.uint8)


def serve(connection: Connection, store: RunStore) -> None:
    """Answer questions until the other end closes."""
    kept = Networks(store)
    while True:
        try:
            question = json.loads(connection.recv_bytes())
            images = np.frombuffer(connection.recv_bytes(), np.uint8).reshape(question["shape"])
        except EOFError:
            return
        try:
            answer = kept.classify(question["run"], images)
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
