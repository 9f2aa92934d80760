"""States of a run's network, each in numbers compared with the one in which the run began."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tl_engine.analysis import measures
from tl_engine.analysis.loss_floor import loss_floor
from tl_engine.learning.activations import ActivationReader, Activations
from tl_engine.learning.results import score
from tl_engine.learning.variables import Weights


def finite(numbers: Mapping[str, float | None]) -> dict[str, float | None]:
    """The numbers, None where one is none or not finite, so that they can be JSON."""
    return {
        name: float(number) if number is not None and np.isfinite(number) else None
        for name, number in numbers.items()
    }


class NetworkStates:
    """Describes states, each given by its weights."""

    def __init__(
        self, reader: ActivationReader, labels: np.ndarray, first: Weights, *, softmax: bool
    ) -> None:
        """
        Args:
            labels: (n,) of the diagnostic images.
            first: the weights with which the run began.
            softmax: a softmax feeds the head.
        """
        self.reader, self.first = reader, first
        self._labels, self._softmax = labels, softmax
        self._cached: tuple[Activations, list[dict[str, Any]]] | None = None

    def describe(self, weights: Weights) -> dict[str, Any]:
        """A state compared with the one in which the run began; plain numbers for JSON."""
        reader, labels = self.reader, self._labels
        parts = {"": slice(0, len(labels)), "corrupted_": slice(len(labels), None)}
        current, reference = reader.activations(weights), reader.activations(self.first)
        numbers: dict[str, float | None] = {}
        for name, part in parts.items():
            probabilities = reader.probabilities(current.of(part), weights)
            numbers |= {f"{name}{k}": value for k, value in score(probabilities, labels).items()}
            numbers[f"{name}energy"] = measures.energy(probabilities, labels)
            distortion = measures.distortion(current.body[part], reference.body[part])
            numbers[f"{name}distortion"] = distortion
        clean, corrupted = (current.body[part] for part in parts.values())
        linear_probe = measures.refitted_accuracy(clean, labels, [clean, corrupted])
        numbers["refitted"], numbers["corrupted_refitted"] = linear_probe
        kernel, bias = (weights[key] for key in reader.head)
        numbers["head_norm"] = measures.norm([kernel])
        numbers["head_drift"] = measures.drift([kernel], [self.first[reader.head[0]]])
        numbers["floor"] = loss_floor(kernel, bias) if self._softmax else None
        # A change of the head alone changes no block.
        if self._cached is None or self._cached[0] is not current:
            blocks = [self._block(title, weights, current) for title in reader.blocks]
            self._cached = current, blocks
        return {**finite(numbers), "blocks": self._cached[1]}

    def score_between(self, start: Weights, end: Weights, share: float) -> dict[str, float]:
        """Loss and accuracy on the clean images with weights between two states, 0 to 1."""
        weights = Interpolated(start, end, share)
        activations = self.reader.clean_activations(weights)
        return score(self.reader.probabilities(activations, weights), self._labels)

    def _block(self, title: str, weights: Weights, current: Activations) -> dict[str, Any]:
        """A block on the clean images."""
        keys = self.reader.blocks[title]
        (now, *statistics), (then, *first_statistics) = (
            [[arrays[key] for key in part] for part in keys] for arrays in (weights, self.first)
        )
        drifts = measures.statistics_drift(*statistics, *first_statistics)
        numbers = {
            "drift": measures.drift(now, then),
            **dict(zip(("means_drift", "variances_drift"), drifts, strict=True)),
            "cka": self._cka(title, current),
        }
        return {"title": title, **finite(numbers)}

    def _cka(self, title: str, current: Activations) -> float:
        """Debiased CKA of the block's output with its output when the run began."""
        reference = self.reader.activations(self.first)
        if title not in current.blocks:
            return math.nan
        if current is reference:
            return 1.0
        clean = len(self._labels)
        return measures.linear_cka(current.blocks[title][:clean], reference.blocks[title][:clean])


class Interpolated(Mapping[str, np.ndarray]):
    """Weights on the straight line between two states; an array is made when it is looked up, so
    that a large network's weights are not in memory once more."""

    def __init__(self, start: Weights, end: Weights, share: float) -> None:
        self._start, self._end, self._share = start, end, share

    def __len__(self) -> int:
        return len(self._end)

    def __iter__(self) -> Iterator[str]:
        return iter(self._end)

    def __getitem__(self, key: str) -> np.ndarray:
        """What did not change stays as it is, to the last bit; counters are those of the end."""
        first, last = self._start[key], self._end[key]
        if first.dtype.kind != "f" or first is last or np.array_equal(first, last):
            return last
        between = (1 - self._share) * first
        between += self._share * last  # in place: fresh memory costs more than the sum
        return between.astype(last.dtype, copy=False)
