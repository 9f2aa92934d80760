"""States of a run's network, each told in numbers against the one in which the run began."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tl_engine.analysis import readout
from tl_engine.analysis.cka import linear_cka
from tl_engine.analysis.loss_floor import loss_floor
from tl_engine.learning.activations import Arrays, Features, Inside
from tl_engine.learning.scoring import score


class States:
    """What there is to say of states, each given by its weights.

    Attributes:
        first: the weights with which the run began.
    """

    def __init__(self, inside: Inside, labels: np.ndarray, first: Arrays, *, softmax: bool) -> None:
        """
        Args:
            labels: (n,) of the probe's images.
            softmax: a softmax feeds the head.
        """
        self.inside, self.first = inside, first
        self._labels, self._softmax = labels, softmax
        self._told: tuple[Features, list[dict[str, Any]]] | None = None

    def state(self, weights: Arrays) -> dict[str, Any]:
        """A state against the one in which the run began."""
        inside, labels, first = self.inside, self._labels, self.first
        count = len(labels)
        parts = {"": slice(0, count), "corrupted_": slice(count, None)}
        seen, reference = inside.features(weights), inside.features(first)
        told: dict[str, Any] = {}
        for name, part in parts.items():
            said = inside.probabilities(seen.of(part), weights)
            told |= {f"{name}{key}": value for key, value in score(said, labels).items()}
            told[f"{name}energy"] = readout.energy(said, labels)
            told[f"{name}distortion"] = readout.distortion(seen.body[part], reference.body[part])
        clean = seen.body[:count]
        refitted = readout.refitted_accuracy(clean, labels, [clean, seen.body[count:]])
        told["refitted"], told["corrupted_refitted"] = refitted
        kernel, bias = (weights[key] for key in inside.head)
        told["head_norm"] = readout.norm([kernel])
        told["head_drift"] = readout.drift([kernel], [first[inside.head[0]]])
        told["floor"] = loss_floor(kernel, bias) if self._softmax else None
        told = {name: _plain(value) for name, value in told.items()}
        return {**told, "blocks": self._blocks(weights, seen)}

    def _blocks(self, weights: Arrays, seen: Features) -> list[dict[str, Any]]:
        """The same for each block, bottom-up, on the clean images; a head changes none of it."""
        if self._told and self._told[0] is seen:
            return self._told[1]
        reference, told = self.inside.features(self.first), []
        for title, keys in self.inside.blocks.items():
            statistics = [
                [arrays[key] for key in part]
                for arrays in (weights, self.first)
                for part in (keys.means, keys.variances)
            ]
            means, variances = readout.statistics_drift(*statistics)
            now, then = ([arrays[key] for key in keys.weights] for arrays in (weights, self.first))
            values = {
                "drift": readout.drift(now, then),
                "means_drift": means,
                "variances_drift": variances,
                "cka": self._alike(title, seen, reference),
            }
            told.append({"title": title, **{k: _plain(value) for k, value in values.items()}})
        self._told = seen, told
        return told

    def _alike(self, title: str, seen: Features, reference: Features) -> float:
        """Debiased CKA of what leaves the block with what left it when the run began."""
        if title not in seen.blocks:
            return math.nan
        if seen is reference:
            return 1.0
        clean = slice(0, len(self._labels))
        return linear_cka(seen.blocks[title][clean], reference.blocks[title][clean])

    def score_between(self, began: Arrays, ends: Arrays, share: float) -> dict[str, float]:
        """Loss and accuracy on the clean images with weights between two states, 0 to 1."""
        weights = Between(began, ends, share)
        seen = self.inside.clean_features(weights)
        return score(self.inside.probabilities(seen, weights), self._labels)


class Between(Mapping[str, np.ndarray]):
    """Weights on the straight line between two states; an array is made when it is asked for, so
    that a large network's weights are not in memory once more."""

    def __init__(self, began: Arrays, ends: Arrays, share: float) -> None:
        self._began, self._ends, self._share = began, ends, share

    def __len__(self) -> int:
        return len(self._ends)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ends)

    def __getitem__(self, key: str) -> np.ndarray:
        """What did not change stays as it is, to the last bit; counters are those of the end."""
        first, last = self._began[key], self._ends[key]
        if first.dtype.kind != "f" or first is last or np.array_equal(first, last):
            return last
        between = (1 - self._share) * first
        between += self._share * last  # in place: fresh memory costs more than the sum
        return between.astype(last.dtype, copy=False)


def _plain(value: float | None) -> float | None:
    """The number, None where there is none, so that it can be JSON."""
    return float(value) if value is not None and math.isfinite(value) else None
