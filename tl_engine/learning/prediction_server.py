"""The process behind a Predictor: `python -m tl_engine.learning.prediction_server FD RUNS`.

Each verb of a request is a function from arrays and options to arrays.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from tl_engine.errors import PredictionError, ThawError
from tl_engine.execution.prediction_messages import Arrays, pack, unpack
from tl_engine.learning.device import prepare_device
from tl_engine.learning.finished_networks import FinishedNetworks
from tl_engine.runs import RunStore

Verb = Callable[[FinishedNetworks, str, Arrays, Mapping[str, Any]], Arrays]
"""Called with the networks, the id of a finished run, and a request's arrays and options."""


def classify(
    networks: FinishedNetworks, run_id: str, arrays: Arrays, options: Mapping[str, Any]
) -> Arrays:
    """From `images`, uint8 (n, height, width, 3), to `probabilities`, float32 (n, classes)."""
    return {"probabilities": networks.probabilities(run_id, arrays["images"])}


def preprocess(
    networks: FinishedNetworks, run_id: str, arrays: Arrays, options: Mapping[str, Any]
) -> Arrays:
    """From `images` to the same `images` as the network sees them, uint8 (n, size, size, 3)."""
    # Resizing alone needs no traced graph.
    pixels = np.asarray(networks.of(run_id).resizing(arrays["images"]))
    return {"images": np.clip(np.rint(pixels), 0, 255).astype(np.uint8)}


VERBS: dict[str, Verb] = {"classify": classify, "preprocess": preprocess}


def respond(networks: FinishedNetworks, message: bytes) -> bytes:
    """The response to a request: the arrays of its verb, or the sentence why there are none."""
    verb = "respond"
    try:
        header, arrays = unpack(message)
        verb = header["verb"]
        if verb not in VERBS:
            raise PredictionError(f"A model can {' or '.join(VERBS)}, got the request {verb!r}.")
        return pack({}, VERBS[verb](networks, header["run"], arrays, header["options"]))
    except ThawError as error:
        return pack({"error": str(error)})
    except Exception as error:
        return pack({"error": f"The model cannot {verb}: {error}"[:500]})


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
