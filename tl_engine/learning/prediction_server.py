"""The process behind a Predictor: `python -m tl_engine.learning.prediction_server FD RUNS`.

Each verb is a function of the networks and a request; it returns arrays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np

from tl_engine.errors import PredictionError, ThawError
from tl_engine.execution.predictor import Arrays, Request, pack, unpack
from tl_engine.learning.device import prepare_device
from tl_engine.learning.finished_networks import FinishedNetworks
from tl_engine.runs import RunStore


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
    """Answer requests until the other end closes."""
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
