"""What a run's phases did to its network, described at the end of each on the same few images.

A diagnosis changes nothing: weights that are swapped in are swapped out again, no random state is
used, and what a run computes has the same bits with THAW_DIAGNOSIS=off. How much is measured
depends on the recipe alone, so that a run that was resumed has the same diagnosis.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tl_engine.analysis import measures
from tl_engine.data.corruptions import BETWEEN, Probe, ProbeSize, size_for
from tl_engine.errors import ThawError
from tl_engine.learning.network import Network
from tl_engine.learning.network_states import NetworkStates, finite
from tl_engine.learning.progress import Progress
from tl_engine.learning.run_data import RunData
from tl_engine.learning.variables import Weights, copies_of, head_keys, keys_by_block, keys_of
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run

TOO_SHORT = "The run is too short: looking inside would cost more than a tenth of its own work."
NO_POINTS = "The run is too short to be asked between the ends of its phases."
NO_START = "The run was resumed inside the phase, and the state in which it began was not kept."


class Diagnosis:
    """Describes a run's network whenever a phase ends; THAW_DIAGNOSIS=off leaves it out."""

    def __init__(self, run: Run, network: Network, data: RunData, progress: Progress) -> None:
        self._recipe, self._seeds, self._network = run.recipe, run.seeds, network
        self._data, self._progress = data, progress
        self._is_wanted = os.environ.get("THAW_DIAGNOSIS", "on") != "off"
        self._size = size_for(run.recipe, progress.total) if self._is_wanted else None
        self._states: NetworkStates | None = None
        self._in_memory: tuple[Weights, ...] = ()
        self._start: Weights | None = None

    def begin(self, start: Callable[[], Weights | None] | None = None) -> None:
        """A phase begins; where that was in another process, `start` gives the weights with which
        it did."""
        if not self._size:
            return
        built = self._network.built_weights
        same = self._in_memory or ([built] if built else [])
        self._start = start() if start else copies_of(self._network.model.variables, *same)

    def of_first_step(self, trained: keras.Model, phase: Phase) -> dict[str, Any]:
        """The "gradients" of the first step of the phase that began last, as `first_gradients`;
        nothing where it trains the head alone."""
        if not self._size or self._start is None or not phase.trains_backbone:
            return {}
        model = self._network.model
        return {"gradients": first_gradients(model, trained, self._recipe, phase, self._start)}

    def of_end(self, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the phase that ends now did: "diagnosis", plain numbers for JSON, and
        "diagnosis_seconds"; nothing where it is off.

        Args:
            before: the records of the phases before it.
        """
        if not self._is_wanted:
            return {}
        began = time.perf_counter()
        diagnosis: dict[str, Any] = {"skipped": TOO_SHORT}
        if self._size:
            try:
                diagnosis = self._measure(self._size, before)
            except ThawError as error:  # the weights that a resumed run began with may be gone
                diagnosis = {"skipped": str(error)}
        self._start = None
        return {"diagnosis": diagnosis, "diagnosis_seconds": time.perf_counter() - began}

    def _measure(self, size: ProbeSize, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        network, states = self._network, self._states
        first = states.first if states else network.initial_weights(self._recipe, self._seeds)
        start = self._start if before else first
        with network.activations.restoring(*((start,) if start else ()), first) as end:
            states = self._states = states or self._states_on(size, first)
            self._in_memory = (first, end)
            at_end = states.describe(end)
            previous = before[-1].get("diagnosis", {}) if before else {}
            if previous.get("images") == size.images:
                at_start = previous["end"]
            else:  # the phase before was described on other images, or not at all
                at_start = states.describe(start) if start else None
            path: dict[str, Any] = {"skipped": NO_START}
            if start and at_start:
                between = size.between
                if states.reader.same_body(start, end):  # costs nothing
                    between = BETWEEN[0]
                shares = [float(share) for share in np.linspace(0, 1, between + 2)]
                scores = [states.score_between(start, end, share) for share in shares[1:-1]]
                path = _path(shares, [at_start, *scores, at_end])
        return {"images": size.images, "start": at_start, "end": at_end, "path": path}

    def _states_on(self, size: ProbeSize, first: Weights) -> NetworkStates:
        fingerprint = self._data.environment["fingerprint"]
        probe = Probe(self._data.splits.validation, fingerprint, size.images)
        reader, progress = self._network.activations, self._progress
        reader.look_at(probe, first, lambda images: progress.advance())
        softmax = self._recipe.head_input == "softmax"
        return NetworkStates(reader, probe.labels, first, softmax=softmax)


def _path(shares: list[float], numbers: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Loss and accuracy on the straight line from the phase's start to its end."""
    if len(shares) == 2:
        return {"skipped": NO_POINTS}
    curves = {name: [each[name] for each in numbers] for name in ("loss", "accuracy")}
    return {"at": shares, **curves}


def first_gradients(
    model: keras.Model, trained: keras.Model, recipe: Recipe, phase: Phase, start: Weights
) -> list[dict[str, Any]]:
    """The gradient of the first batch's loss, for each block that the phase trains, bottom-up, and
    for the head; read from the optimizer's state at no cost.

    Args:
        trained: what was compiled for the phase, exactly one step ago; `start` are the whole
            model's weights before that step.

    Returns:
        title, "gradient", its Frobenius norm, and "relative", that over the norm of the weights:
        how much the block wants to move (Lee et al. 2023, RGN); None where weights are zero.
        Nothing where the step was left out because scaled gradients overflowed.
    """
    optimizer = getattr(trained.optimizer, "inner_optimizer", trained.optimizer)
    if not int(optimizer.iterations):
        return []
    trained_keys = keys_of(model, trained.trainable_variables)
    norms = dict(zip(trained_keys, _gradient_norms(optimizer, phase), strict=True))
    blocks = {title: keys.weights for title, keys in keys_by_block(model, recipe).items()}
    rows = []
    for title, keys in {**blocks, "Head": head_keys(model)}.items():
        if free := [key for key in keys if key in norms]:
            gradient = float(np.hypot.reduce([norms[key] for key in free]))
            relative = measures.relative(gradient, measures.norm([start[key] for key in free]))
            rows.append({"title": title, **finite({"gradient": gradient, "relative": relative})})
    return rows


def _gradient_norms(optimizer: keras.optimizers.Optimizer, phase: Phase) -> list[float]:
    """The norm of each variable's gradient, from the optimizer's state after one step."""
    if phase.optimizer == "rmsprop":
        share = 1 - optimizer.rho
        velocities = optimizer._velocities
        return [float(np.sqrt(np.asarray(v).sum(dtype=float) / share)) for v in velocities]
    if phase.optimizer == "sgd":
        momentums, scale = optimizer.momentums, float(optimizer.learning_rate)
    else:
        momentums, scale = optimizer._momentums, 1 - optimizer.beta_1
    return [measures.norm([np.asarray(m)]) / scale for m in momentums]
