"""A recipe's network with every graph that was traced for it."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from tl_engine.learning.activations import ActivationReader
from tl_engine.learning.batches import InferenceGraph, TracedGraph, TrainingGraph
from tl_engine.learning.feature_maker import uses_features
from tl_engine.learning.freezing import set_phase
from tl_engine.learning.model import AS_SEEN, boundary, build_model, model_above, model_below
from tl_engine.learning.variables import assign, copies_of, head_keys
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import MODEL_FORMATS, model_arrays
from tl_engine.study import Seeds


class PhaseGraphs(NamedTuple):
    """The graphs of one kind of phase: training and inference of the same layers, from pixels, or
    from features where something constant is below, which gives these from pixels. The training
    graph is called with `batches_per_call` at once."""

    training: TrainingGraph
    inference: InferenceGraph
    below: InferenceGraph | None = None
    batches_per_call: int = 1

    @property
    def traced(self) -> set[TracedGraph]:
        """All of its graphs."""
        return {self.training, self.inference} | ({self.below} if self.below else set())


class Network:
    """The network of a recipe; others that differ in their phases alone can use it again.

    Attributes:
        recipe: what all recipes share that can use it.
        model: from pixels to probabilities, never compiled itself.
        inference: the graph of the model.
        built_weights: the values that building gave the variables; None where it was built
            without weights.
    """

    def __init__(self, recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> None:
        """Build it; arguments and errors as those of `build_model`."""
        self.recipe = recipe.network
        self.model = build_model(recipe, seeds, weights=weights)
        self.inference = InferenceGraph(self.model)
        self.built_weights = copies_of(self.model.variables) if weights else None
        self._seeds = seeds
        self._graphs: dict[tuple[object, ...], PhaseGraphs] = {}
        self._boundaries: dict[object, tuple[keras.KerasTensor, InferenceGraph]] = {}

    @cached_property
    def activations(self) -> ActivationReader:
        """Reads the network's activations on a few images."""
        return ActivationReader(self.model, self.recipe)

    @cached_property
    def halves(self) -> tuple[InferenceGraph, InferenceGraph]:
        """From pixels to the head's input, and from there to probabilities."""
        head_input = self.model.get_layer("head").input
        below = InferenceGraph(model_below(self.model, head_input))
        return below, InferenceGraph(model_above(self.model, head_input))

    @cached_property
    def resizing(self) -> keras.Model:
        """From pixels to the picture as the network sees it, 0 to 255."""
        return keras.Model(self.model.inputs[0], self.model.get_layer(AS_SEEN).output)

    def initial_weights(self, recipe: Recipe, seeds: Seeds) -> dict[str, np.ndarray]:
        """The values that building the recipe's network with these seeds would give its variables,
        by index; the variables stay as they are. Errors as those of building."""
        if self.built_weights is None or not (recipe.pretrained or seeds == self._seeds):
            model = build_model(recipe, seeds)
            self.built_weights, self._seeds = copies_of(model.variables), seeds
        kernel, bias = head_keys(self.model)
        initializer = type(self.model.get_layer("head").kernel_initializer)(seed=seeds.head)
        head = np.asarray(initializer(self.built_weights[kernel].shape))
        return {**self.built_weights, kernel: head, bias: np.zeros(head.shape[1], np.float32)}

    def enter(self, recipe: Recipe, phase: Phase) -> PhaseGraphs:
        """Free what the phase trains and freeze the rest, with an optimizer that begins anew."""
        key = _key(recipe, phase)
        if key not in self._graphs:
            self._graphs[key] = self._build(recipe, phase)
        graphs = self._graphs[key]
        set_phase(self.model, recipe, phase, graphs.training.model)
        return graphs

    def graphs_of(self, recipe: Recipe, phases: Iterable[Phase]) -> set[TracedGraph]:
        """The graphs that training these phases uses, as far as they are built."""
        built = [self._graphs.get(_key(recipe, phase)) for phase in phases]
        return set[TracedGraph]().union(*(graphs.traced for graphs in built if graphs))

    def save(self, path: Path) -> None:
        """Write the model in the format of the path's suffix, with dropout as published, so that
        it trains as expected."""
        for layer in self.model.body.layers:
            if hasattr(layer, "published_rate"):
                layer.rate = layer.published_rate
        MODEL_FORMATS[path.suffix[1:]].save(self.model, path)

    def _build(self, recipe: Recipe, phase: Phase) -> PhaseGraphs:
        constant = self._boundary(recipe, phase) if uses_features(recipe, phase) else None
        if constant is None:
            twin = keras.Model(self.model.inputs, self.model.outputs, name="twin")
            return PhaseGraphs(TrainingGraph(twin, xla=recipe.xla), self.inference)
        tensor, below = constant
        trained = model_above(self.model, tensor)
        training, inference = TrainingGraph(trained, xla=recipe.xla), InferenceGraph(trained)
        # Through the head alone a batch takes a millisecond, and a stop is seen soon enough.
        return PhaseGraphs(training, inference, below, 1 if phase.trains_backbone else 16)

    def _boundary(
        self, recipe: Recipe, phase: Phase
    ) -> tuple[keras.KerasTensor, InferenceGraph] | None:
        if phase.trainable not in self._boundaries:
            tensor = boundary(self.model, recipe, phase)
            if tensor is None:
                return None
            below = InferenceGraph(model_below(self.model, tensor))
            self._boundaries[phase.trainable] = tensor, below
        return self._boundaries[phase.trainable]


def _key(recipe: Recipe, phase: Phase) -> tuple[object, ...]:
    """Two phases with the same key can use the same graphs."""
    return phase.trainable, phase.optimizer, uses_features(recipe, phase)


_last: Network | None = None


def network_of(recipe: Recipe, seeds: Seeds, *, weights: bool = True) -> Network:
    """The network of a recipe, as building it gives it; its variables do not matter where `weights`
    is off. The last one stays in memory, with all that was traced for it, and is used again for a
    recipe that trains the same network, with its variables reset."""
    global _last
    if _last is None or _last.recipe != recipe.network or (weights and not _last.built_weights):
        _last = None  # before the next one needs memory
        _last = Network(recipe, seeds, weights=weights)
    elif weights:
        assign(_last.model.variables, _last.initial_weights(recipe, seeds))
    return _last


def load_network(run: Run) -> Network:
    """The network of a finished run, as `network_of`, with the variables of its checkpoint, whose
    sha256 is checked; nothing is deserialised into code.

    Raises:
        StoreError: where its checkpoint is missing or damaged.
    """
    arrays = model_arrays(run)
    network = network_of(run.recipe, run.seeds, weights=False)
    assign(network.model.variables, arrays)
    return network
