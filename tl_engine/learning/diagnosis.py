"""What a run's phases did to its network, told at the end of each on a fixed probe.

Looking changes nothing: weights that are tried on are taken off again, no random state is used,
and what a run computes has the same bits with THAW_DIAGNOSIS=off, which looks at nothing. How much
is looked at depends on the recipe alone, so that a run that was resumed tells the same.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from tl_engine.data.diagnostic_images import BETWEEN, Probe, ProbeSize, size_for
from tl_engine.data.splits import Split
from tl_engine.errors import ThawError
from tl_engine.learning import gradients
from tl_engine.learning.activations import Arrays, Inside, kept
from tl_engine.learning.network import Network
from tl_engine.learning.network_states import States
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

TOO_SHORT = "The run is too short: looking inside would cost more than a tenth of its own work."
NO_POINTS = "The run is too short to be asked between the ends of its phases."
NO_START = "The run was resumed inside the phase, and the state in which it began was not kept."


def is_wanted() -> bool:
    """Whether runs are looked at: THAW_DIAGNOSIS=off leaves it out."""
    return os.environ.get("THAW_DIAGNOSIS", "on") != "off"


class Diagnosis:
    """Looks at a run's network whenever a phase ends."""

    def __init__(
        self,
        recipe: Recipe,
        seeds: Seeds,
        network: Network,
        validation: Split,
        fingerprint: str,
        work: float,
        beat: Callable[[int], None],
    ) -> None:
        """
        Args:
            fingerprint: of the dataset.
            work: of the whole run, in forward passes of one image.
            beat: called while it looks; may raise.
        """
        self._recipe, self._seeds, self._network = recipe, seeds, network
        self._validation, self._fingerprint, self._beat = validation, fingerprint, beat
        self._size = size_for(recipe, work) if is_wanted() else None
        self._first: Arrays | None = None
        self._known: tuple[Arrays, ...] = ()
        self._states: States | None = None
        self._began: Arrays | None = None

    def begin(self, begun: Callable[[], Arrays | None] | None = None) -> None:
        """A phase begins.

        Args:
            begun: gives the weights with which it began, where that was in another process.
        """
        if self._size:
            known = self._known or filter(None, [self._network.built])
            self._began = begun() if begun else kept(self._network.model.variables, *known)

    def of_first_step(self, trained: keras.Model, phase: Phase) -> dict[str, Any]:
        """The gradients with which a phase that began with `begin` goes on, one step later; nothing
        where it trains the head alone.

        Args:
            trained: what was compiled for the phase.
        """
        if not self._size or self._began is None or not phase.trains_backbone:
            return {}
        known = (self._network.model, trained, self._recipe, phase, self._began)
        return {"gradients": gradients.of_first_step(*known)}

    def of_end(self, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What the phase that ends now did.

        Args:
            before: the records of the phases before it.

        Returns:
            "diagnosis", plain numbers for JSON, and "diagnosis_seconds"; nothing where it is off.
        """
        if not is_wanted():
            return {}
        began = time.perf_counter()
        told: dict[str, Any] = {"skipped": TOO_SHORT}
        if self._size:
            try:
                told = self._tell(self._size, before)
            except ThawError as error:  # the weights that a resumed run began with may be gone
                told = {"skipped": str(error)}
        self._began = None
        return {"diagnosis": told, "diagnosis_seconds": time.perf_counter() - began}

    def _tell(self, size: ProbeSize, before: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        inside = self._network.inside = self._network.inside or Inside(
            self._network.model, self._recipe
        )
        first = self._first = self._first or self._network.as_new(self._recipe, self._seeds)
        began = self._began if before else first
        with inside.borrowed(*filter(None, [began]), first) as ends:
            states = self._states = self._states or self._look(size, inside, first)
            self._known = (first, ends)
            return self._told(size, states, began, ends, before)

    def _look(self, size: ProbeSize, inside: Inside, first: Arrays) -> States:
        probe = Probe(self._validation, self._fingerprint, size.images)
        inside.look_at(probe, first, self._beat)
        softmax = self._recipe.head_input == "softmax"
        return States(inside, probe.labels, first, softmax=softmax)

    def _told(
        self,
        size: ProbeSize,
        states: States,
        began: Arrays | None,
        ends: Arrays,
        before: Sequence[Mapping[str, Any]],
    ) -> dict[str, Any]:
        end = states.state(ends)
        known = before[-1].get("diagnosis", {}) if before else {}
        if known.get("images") == size.images:
            start = known["end"]
        else:  # the run begins, or its phase before was looked at with another probe or not at all
            start = states.state(began) if began else None
        told = {"images": size.images, "start": start, "end": end}
        if began is None or start is None:
            return {**told, "path": {"skipped": NO_START}}
        costs_nothing = states.inside.same_body(began, ends)
        between = BETWEEN[0] if costs_nothing else size.between
        if not between:
            return {**told, "path": {"skipped": NO_POINTS}}
        at = [float(share) for share in np.linspace(0, 1, between + 2)]
        scores = [states.score_between(began, ends, share) for share in at[1:-1]]
        line = [start, *scores, end]
        path = {name: [scored[name] for scored in line] for name in ("loss", "accuracy")}
        return {**told, "path": {"at": at, **path}}
