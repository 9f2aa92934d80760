"""Networks of finished runs: rebuilt from the recipe and filled from the run's checkpoint, whose
sha256 is checked; nothing is deserialised into code."""

from __future__ import annotations

import hashlib
from functools import lru_cache

import numpy as np

from tl_engine.learning.network import Network
from tl_engine.learning.variables import Weights, assign
from tl_engine.recipe import Recipe
from tl_engine.runs import Run, RunStore
from tl_engine.runs.run_outputs import model_arrays

MAXIMUM_NETWORKS, MAXIMUM_RUNS = 3, 2
"""Networks with what was traced for them; runs whose variables are in memory."""


def load_network(
    run: Run, previous: Network | None = None, arrays: Weights | None = None
) -> Network:
    """The network of a finished run.

    Args:
        previous: the network of another run, which is of no more use: where both runs train the
            same one, its variables are replaced, and what was traced for it serves again.
        arrays: the run's variables; None reads them from its checkpoint.

    Raises:
        StoreError: where its checkpoint is missing or damaged.
    """
    arrays = model_arrays(run) if arrays is None else arrays
    if previous is None or previous.recipe != run.recipe.network:
        previous = Network(run.recipe, run.seeds, weights=False)
    assign(previous.model.variables, arrays)
    return previous


class FinishedNetworks:
    """The networks of the runs that were used last. Runs that train the same one share it, with
    what was traced for it: replacing its variables takes milliseconds, building it seconds."""

    def __init__(self, store: RunStore) -> None:
        self._store = store
        self._arrays = lru_cache(MAXIMUM_RUNS)(lambda run_id: model_arrays(store.run(run_id)))
        self._networks: dict[Recipe, Network] = {}
        self._filled_from: dict[Recipe, str] = {}
        self._head_inputs: dict[tuple[object, ...], np.ndarray] = {}

    def of(self, run_id: str) -> Network:
        """A finished run's network. Errors as those of `load_network`."""
        run = self._store.run(run_id)
        key = run.recipe.network
        network = self._networks.pop(key, None)
        if network is None or self._filled_from.get(key) != run_id:
            self._filled_from.pop(key, None)  # until all of its variables are in
            network = load_network(run, network, self._arrays(run_id))
            self._filled_from[key] = run_id
        self._networks[key] = network  # the one that was used last is the last
        for oldest in list(self._networks)[:-MAXIMUM_NETWORKS]:
            del self._networks[oldest], self._filled_from[oldest]
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
