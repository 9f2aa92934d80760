"""Predictor: use the models of finished runs, in a process of its own.

The pages' process never loads TensorFlow: a child does (`learning/prediction_server.py`), which
keeps the models in memory that were used last, and ends when its Predictor closes or dies.
Requests and responses travel over a socket as arrays in an npz file, never as pickles.
"""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NamedTuple, Self

import numpy as np

from tl_engine.errors import PredictionError
from tl_engine.machine import PARENT
from tl_engine.runs import Run, RunState, RunStore

SERVER = "tl_engine.learning.prediction_server"
RESPONSE_SECONDS = 120.0
"""How long a response may take; the first one loads TensorFlow and builds the network."""
HEADER = "header"
"""The array of a message that holds what is not an array, as JSON."""
Arrays = Mapping[str, np.ndarray]


class Request(NamedTuple):
    """What the child is asked to compute.

    Attributes:
        verb: one of those of `prediction_server.VERBS`, which say what arrays they take.
        run: id of a finished run.
        options: plain data for JSON.
    """

    verb: str
    run: str
    arrays: Arrays
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Prediction:
    """A class and its probability, 0 to 1."""

    label: str
    probability: float


class Answer(NamedTuple):
    """A model's output for n pictures: class probabilities, float32 (n, classes), and the pictures
    after resizing inside the model, uint8 (n, size, size, 3)."""

    probabilities: np.ndarray
    as_seen: np.ndarray


class Predictor:
    """A child process that uses finished runs' models; safe to share between threads."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Let the child load TensorFlow while people still choose."""
        with self._lock:
            self._ensure_child()

    def classify(self, run: Run, images: np.ndarray) -> Answer:
        """Class probabilities for uint8 images (n, height, width, 3) at the dataset's size.

        Raises:
            PredictionError: for images of another size; otherwise as `request`.
        """
        data = run.recipe.described_dataset
        if images.ndim != 4 or images.shape[1:] != (data.height, data.width, 3):
            raise PredictionError(
                f"{data.title} has images of {data.height} x {data.width} x 3 pixels, "
                f"got an array of {images.shape}."
            )
        pixels = {"images": np.ascontiguousarray(images, dtype=np.uint8)}
        probabilities = self.request("classify", run, pixels)["probabilities"]
        return Answer(probabilities, self.request("preprocess", run, pixels)["images"])

    def request(self, verb: str, run: Run, arrays: Arrays, **options: Any) -> Arrays:
        """What the child computes with the model of a finished run, for a Request.

        Raises:
            PredictionError: for a run that has not finished, a request that the child refuses, or
                a child that died or did not respond in time.
        """
        if (state := run.state) is not RunState.FINISHED:
            raise PredictionError(
                f"Only a finished run can {verb}: {run.arm} (pair {run.pair}) is {state.value}."
            )
        with self._lock:
            error, result = self._exchange(Request(verb, run.id, arrays, options))
        if error:
            raise PredictionError(error)
        return result

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._stop_child()

    def _exchange(self, request: Request) -> tuple[str, Arrays]:
        """The response: the sentence why there are no arrays, else empty; and the arrays."""
        connection = self._ensure_child()
        header = [request.verb, request.run, request.options]
        try:
            connection.send_bytes(pack(header, request.arrays))
            if not connection.poll(RESPONSE_SECONDS):
                raise PredictionError(f"The model gave no answer in {RESPONSE_SECONDS:.0f} s.")
            return unpack(connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise PredictionError("The process that classifies died; try again.") from error
        finally:
            # After a half-finished exchange the next request would get the last one's response.
            if sys.exc_info()[0]:
                self._stop_child()

    def _ensure_child(self) -> Connection:
        if self._child and self._child.poll() is None and self._connection:
            return self._connection
        self._stop_child()
        own_end, child_end = socket.socketpair()
        with child_end, self._store.open_worker_log() as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", SERVER, str(child_end.fileno()), str(self._store.root)],
                pass_fds=[child_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PARENT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        self._connection = Connection(own_end.detach())
        return self._connection

    def _stop_child(self) -> None:
        if self._connection:
            self._connection.close()
        if self._child:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(5)
        self._child = self._connection = None


def pack(header: Any, arrays: Arrays) -> bytes:
    """A message of a header, plain data for JSON, and arrays."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **{HEADER: np.array(json.dumps(header)), **arrays})
    return buffer.getvalue()


def unpack(message: bytes) -> tuple[Any, dict[str, np.ndarray]]:
    """Header and arrays of what `pack` made."""
    with np.load(io.BytesIO(message), allow_pickle=False) as content:
        arrays = dict(content)
    return json.loads(str(arrays.pop(HEADER))), arrays


def ranked(probabilities: np.ndarray, labels: Sequence[str], top: int = 5) -> list[Prediction]:
    """The most likely classes of one picture, most likely first."""
    order = np.argsort(-probabilities.astype(np.float64), kind="stable")[:top]
    return [Prediction(labels[index], float(probabilities[index])) for index in order]
