"""Predictor: classify pictures with finished runs, in a process of its own.

The pages' process never loads TensorFlow: a child does (`learning/prediction.py`), keeps the
models it was asked for last, and ends when its Predictor closes or dies. Arrays travel over a
socket as npz, never as pickles.
"""

from __future__ import annotations

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
from types import TracebackType

import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.errors import PredictionError
from tl_engine.runs import Run, RunState, RunStore
from tl_engine.storage.installation import PARENT

SERVER = "tl_engine.learning.prediction_server"
ANSWER_SECONDS = 120.0
"""How long an answer may take; the first one loads TensorFlow and builds the network."""


@dataclass(frozen=True)
class Prediction:
    """A class and how likely the model thinks it is, 0 to 1."""

    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What a model says about pictures.

    Attributes:
        probabilities: float32 (n, classes).
        as_seen: uint8 (n, size, size, 3), the pictures after resizing inside the model.
    """

    probabilities: np.ndarray
    as_seen: np.ndarray


class Predictor:
    """A child process that classifies; safe to share between threads."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Predictor:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def start(self) -> None:
        """Let the child load TensorFlow while people still choose."""
        with self._lock:
            self._ensure_child()

    def classify(self, run: Run, images: np.ndarray) -> Answer:
        """Class probabilities for uint8 images (n, height, width, 3) at the dataset's size.

        Raises:
            PredictionError: for a run that has not finished, images of another size, or a
                child that died or said nothing.
        """
        _check(run, images)
        header = json.dumps({"run": run.id, "shape": images.shape}).encode()
        with self._lock:
            answer = self._ask(header, np.ascontiguousarray(images, dtype=np.uint8).tobytes())
        if "error" in answer:
            raise PredictionError(str(answer["error"]))
        return Answer(answer["probabilities"], answer["as_seen"])

    def close(self) -> None:
        """End the child."""
        with self._lock:
            self._stop_child()

    def _ask(self, *parts: bytes) -> Mapping[str, np.ndarray]:
        connection = self._ensure_child()
        try:
            for part in parts:
                connection.send_bytes(part)
            if not connection.poll(ANSWER_SECONDS):
                raise PredictionError(f"The model gave no answer in {ANSWER_SECONDS:.0f} s.")
            with np.load(io.BytesIO(connection.recv_bytes()), allow_pickle=False) as arrays:
                return dict(arrays)
        except (EOFError, OSError) as error:
            raise PredictionError("The process that classifies died; try again.") from error
        finally:
            # A half-finished exchange would answer the next question with the last one's answer.
            if sys.exc_info()[0]:
                self._stop_child()

    def _ensure_child(self) -> Connection:
        if self._child and self._child.poll() is None and self._connection:
            return self._connection
        self._stop_child()
        ours, theirs = socket.socketpair()
        with theirs, self._store.open_worker_log() as log:
            self._child = subprocess.Popen(
                [sys.executable, "-m", SERVER, str(theirs.fileno()), str(self._store.root)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=PARENT,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"},
            )
        self._connection = Connection(ours.detach())
        return self._connection

    def _stop_child(self) -> None:
        if self._connection:
            self._connection.close()
        if self._child:
            self._child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(5)
        self._child = self._connection = None


def ranked(probabilities: np.ndarray, labels: Sequence[str], top: int = 5) -> list[Prediction]:
    """The most likely classes of one picture, most likely first."""
    order = np.argsort(-probabilities.astype(np.float64), kind="stable")[:top]
    return [Prediction(labels[index], float(probabilities[index])) for index in order]


def _check(run: Run, images: np.ndarray) -> None:
    if run.state is not RunState.FINISHED:
        raise PredictionError(
            f"Only a finished run can classify: {run.arm} (pair {run.pair}) is {run.state.value}."
        )
    data = dataset(run.recipe.dataset)
    if images.ndim != 4 or images.shape[1:] != (data.height, data.width, 3):
        raise PredictionError(
            f"{data.title} has images of {data.height} x {data.width} x 3 pixels, "
            f"got an array of {images.shape}."
        )
