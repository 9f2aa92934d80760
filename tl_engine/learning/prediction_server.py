"""The process behind a Predictor: `python -m tl_engine.learning.prediction_server FD RUNS`.

Each verb is a function of the networks and a request; it returns arrays.
"""

import hashlib
import os
import sys
from collections.abc import Callable
from functools import lru_cache
from multiprocessing.connection import Connection

import numpy as np

from tl_engine.errors import PredictionError, ThawError
from tl_engine.execution.predictor import Arrays, Request, pack, unpack
from tl_engine.learning.device import prepare_device
from tl_engine.learning.network import Network
from tl_engine.learning.variables import assign
from tl_engine.recipe import Recipe
from tl_engine.runs import RunStore
from tl_engine.runs.run_outputs import model_arrays

MAXIMUM_NETWORKS, MAXIMUM_RUNS = 3, 2
"""Networks with what was traced for them; runs whose variables are in memory."""


class FinishedNetworks:
    """The networks of the runs that were used last. Runs that train the same one share it, with
    what was traced for it: replacing its variables takes milliseconds, building it seconds."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._arrays = lru_cache(MAXIMUM_RUNS)(lambda run_id: model_arrays(store.run(run_id)))
        self._networks: dict[Recipe, tuple[Network, str]] = {}
        self._head_inputs: dict[tuple[object, ...], np.ndarray] = {}

    def of(self, run_id: str) -> Network:
        """A finished run's network. Errors as those of `load_network`."""
        run = self._store.run(run_id)
        network, filled_from = self._networks.pop(run.recipe.network, (None, ""))
        if network is None or filled_from != run_id:
            arrays = self._arrays(run_id)
            network = network or Network(run.recipe, run.seeds, weights=False)
            assign(network.model.variables, arrays)
        self._networks[run.recipe.network] = network, run_id  # what was used last is the last
        for oldest in list(self._networks)[:-MAXIMUM_NETWORKS]:
            del self._networks[oldest]
        return network

    def probabilities(self, run_id: str, images: np.ndarray) -> np.ndarray:
        """Class probabilities, float32 (n, classes), of uint8 images (n, height, width, 3). The
        same images pass a backbone that no phase has changed once for all runs on it."""
        network, run = self.of(run_id), self._store.run(run_id)
        if not run.recipe.is_pristine:
            return network.inference.predict_batch(images)
        below, head = network.halves
        body = None if run.recipe.pretrained else run.seeds
        key = (network.recipe, body, hashlib.sha256(images.tobytes()).hexdigest(), images.shape)
        if key not in self._head_inputs:
            self._head_inputs = {key: below.predict_batch(images)}  # of the last images alone
        return head.predict_batch(self._head_inputs[key])


def classify(networks: FinishedNetworks, request: Request) -> Arrays:
    """From `images`, uint8 (n, height, width, 3), to `probabilities`, float32 (n, classes)."""
    return {"probabilities": networks.probabilities(request.run, request.arrays["images"])}


def preprocess(networks: FinishedNetworks, request: Request) -> Arrays:
    """From `images` to the same `images` as the network sees them, uint8 (n, size, size, 3)."""
    # Resizing alone needs no traced graph.
    pixels = np.asarray(networks.of(request.run).resizing(request.arrays["images"]))
    return {"images": np.clip(np.rint(pixels), 0, 255).astype(np.uint8)}


VERBS: dict[str, Callable[[FinishedNetworks, Request], Arrays]] = {
    "classify": classify,
    "preprocess": preprocess,
}


def respond(networks: FinishedNetworks, message: bytes) -> bytes:
    """The response to a request: the arrays of its verb, or the sentence why there are none."""
    verb = "respond"
    try:
        (verb, run, options), arrays = unpack(message)
        if verb not in VERBS:
            raise PredictionError(f"A model can {' or '.join(VERBS)}, got the request {verb!r}.")
        return pack("", VERBS[verb](networks, Request(verb, run, arrays, options)))
    except ThawError as error:
        return pack(str(error), {})
    except Exception as error:
        return pack(f"The model cannot {verb}: {error}"[:500], {})


def serve(connection: Connection, store: RunStore) -> None:
    """Respond to requests until the other end closes."""
    networks = FinishedNetworks(store)
    while True:
        try:
            message = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(respond(networks, message))


if __name__ == "__main__":
    prepare_device(os.cpu_count() or 1)
    serve(Connection(int(sys.argv[1])), RunStore(sys.argv[2]))
