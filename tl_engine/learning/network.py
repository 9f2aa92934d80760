"""A recipe's network with everything that was traced for it, phase by phase."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import keras
import numpy as np

from tl_engine.learning import model as networks
from tl_engine.learning.batches import Graph, Learner, Reader
from tl_engine.recipe import Phase, Recipe
from tl_engine.study import Seeds

if TYPE_CHECKING:
    from tl_engine.learning.activations import Inside


@dataclass(frozen=True)
class Stage:
    """What one kind of phase trains, and what is constant below it.

    Attributes:
        learner, reader: the same layers, for training and for inference; from pixels, or from
            features where there is something below.
        below: from pixels to features; None where every layer trains, or nothing stays the same
            below.
        at_once: batches that are handed to the learner together.
    """

    learner: Learner
    reader: Reader
    below: Reader | None = None
    at_once: int = 1


class Network:
    """The network of a recipe; others that differ in their phases alone can use it again.

    Attributes:
        model: from pixels to probabilities, never compiled itself.
        reader: the same, for inference.
        inside: what was made to look inside it, if anything was.
    """

    def __init__(self, recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> None:
        """Build it; arguments and errors as those of `build_model`."""
        self.model = networks.build_model(recipe, seeds, weights=weights)
        self.reader = Reader(self.model)
        self._recipe = recipe.network
        self._new = networks.copies_of(self.model.variables) if weights else None
        self._seeds = seeds
        self._stages: dict[tuple[object, ...], Stage] = {}
        self._below: dict[object, tuple[keras.KerasTensor, Reader]] = {}
        self.inside: Inside | None = None

    def fits(self, recipe: Recipe, weights: bool) -> bool:
        """Whether the recipe trains this network, and its weights are at hand if wanted."""
        return recipe.network == self._recipe and (self._new is not None or not weights)

    def renew(self, recipe: Recipe, seeds: Seeds) -> None:
        """Give the variables the values that building it with these seeds would give them."""
        networks.assign(self.model.variables, self.as_new(recipe, seeds))

    @property
    def built(self) -> dict[str, np.ndarray] | None:
        """The values that building it gave, by index; None where it was built without weights."""
        return self._new

    def as_new(self, recipe: Recipe, seeds: Seeds) -> dict[str, np.ndarray]:
        """Those values, by index; the variables stay as they are. Errors as those of building."""
        if self._new is None or not (recipe.pretrained or seeds == self._seeds):
            fresh = networks.build_model(recipe, seeds)
            self._new, self._seeds = networks.copies_of(fresh.variables), seeds
        return {**self._new, **networks.head_as_new(self.model, seeds)}

    def enter(self, recipe: Recipe, phase: Phase, *, features: bool = True) -> Stage:
        """Free what the phase trains and freeze the rest, with an optimizer that begins anew.

        Args:
            features: off to train through the layers that stay the same, as if they did not.
        """
        features = features and recipe.keeps_features(phase)
        key = _key(recipe, phase, features)
        if key not in self._stages:
            self._stages[key] = self._build(recipe, phase, features)
        stage = self._stages[key]
        networks.set_phase(self.model, recipe, phase, stage.learner.model)
        return stage

    def graphs_of(
        self, recipe: Recipe, phases: Iterable[Phase], *, features: bool = True
    ) -> set[Graph]:
        """What training these phases uses, as far as it is there.

        Args:
            features: as in `enter`.
        """
        stages = [self._stages.get(_key(recipe, phase, features)) for phase in phases]
        graphs = [(each.learner, each.reader, each.below) for each in stages if each]
        return {graph for of_stage in graphs for graph in of_stage if graph}

    def _build(self, recipe: Recipe, phase: Phase, features: bool) -> Stage:
        below = self._boundary(recipe, phase) if features else None
        if below is None:
            trained = networks.twin(self.model)
            networks.set_phase(self.model, recipe, phase, trained)
            return Stage(Learner(trained, xla=recipe.xla), self.reader)
        tensor, reader = below
        trained = networks.above(self.model, tensor)
        networks.set_phase(self.model, recipe, phase, trained)
        # Through the head alone a batch takes a millisecond, and a stop is seen soon enough.
        at_once = 1 if phase.trains_backbone else 16
        return Stage(Learner(trained, xla=recipe.xla), Reader(trained), reader, at_once)

    def _boundary(self, recipe: Recipe, phase: Phase) -> tuple[keras.KerasTensor, Reader] | None:
        if phase.trainable not in self._below:
            tensor = networks.boundary(self.model, recipe, phase)
            if tensor is None:
                return None
            self._below[phase.trainable] = tensor, Reader(networks.below(self.model, tensor))
        return self._below[phase.trainable]


def _key(recipe: Recipe, phase: Phase, features: bool) -> tuple[object, ...]:
    """What tells whether a phase can use the stage that another phase made."""
    return phase.trainable, phase.optimizer, features and recipe.keeps_features(phase)


_kept: Network | None = None


def network_of(recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> Network:
    """The network of a recipe, as building it gives it.

    The last one is kept, with all that was traced for it: to a recipe that trains the same
    network it is given again, with its variables as new.

    Args:
        weights: off when variables are assigned from a checkpoint right after.
    """
    global _kept
    if _kept is None or not _kept.fits(recipe, weights):
        _kept = None
        _kept = Network(recipe, seeds, weights=weights)
    elif weights:
        _kept.renew(recipe, seeds)
    return _kept
