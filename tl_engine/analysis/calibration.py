"""Calibration: whether a model is right as often as its confidence promises."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from tl_engine.text import counted

BINS = 15
"""Of equal width, as in Guo et al. 2017 (arXiv 1706.04599)."""
SIMULATIONS = 1000
SEED = 20_260_101
"""Of the simulation: the same numbers give the same band."""
TAILS = (1 - 0.95) / 2, (1 + 0.95) / 2
"""Quantiles between which 95 % lie."""
SMALLEST = 1e-7
"""A probability counts as at least this, as in the losses that runs report."""
TEMPERATURES = (0.05, 20.0)


class Calibration(NamedTuple):
    """How one run's probabilities fit what happened: its accuracy as a share, and the results of
    `reliability`, `calibration_error`, `null_errors`, `mean_loss`, `brier_score` and
    `fitted_temperature`."""

    bins: pd.DataFrame
    accuracy: float
    error: float
    null: tuple[float, float]
    loss: float
    brier: float
    temperature: float

    @property
    def sureness(self) -> str:
        """What the error means: calibrated models show one as large, or confidence is above the
        share right, or below it."""
        if self.error <= self.null[1]:
            return "calibrated"
        surer = ((self.bins["confidence"] - self.bins["accuracy"]) * self.bins["images"]).sum()
        return "too sure" if surer > 0 else "not sure enough"


def calibration(probabilities: np.ndarray, labels: np.ndarray) -> Calibration:
    """All of it for one run's probabilities (n, classes), as they are stored, and true classes
    (n,); the errors of several runs cannot be pooled, for they share images."""
    confidences = np.minimum(probabilities.max(axis=1).astype(float), 1.0)
    right = probabilities.argmax(axis=1) == labels
    bins = reliability(confidences, right)
    return Calibration(
        bins=bins,
        accuracy=float(right.mean()),
        error=calibration_error(bins),
        null=null_errors(confidences),
        loss=mean_loss(probabilities, labels),
        brier=brier_score(probabilities, labels),
        temperature=fitted_temperature(probabilities, labels),
    )


def in_a_sentence(title: str, runs: Sequence[Calibration]) -> str:
    """How an arm's finished runs, one per pair, are calibrated, in a sentence."""
    (most, count), *others = Counter(run.sureness for run in runs).most_common()
    rest = "".join(f", {words} in {times}" for words, times in others)
    return f"{title} is {most} in {count} of {counted(len(runs), 'pair')}{rest}."


def reliability(confidences: np.ndarray, right: np.ndarray) -> pd.DataFrame:
    """How often each confidence (n,), 0 to 1, is right (n,).

    Returns:
        A row per bin that has images: bin, images, confidence (mean), accuracy, low and high:
        where the accuracy of a calibrated model lies with 95 % (simulated).
    """
    places = bins_of(confidences)
    images = np.bincount(places, minlength=BINS)
    filled = np.flatnonzero(images)
    drawn = _drawn_right(confidences, places)[:, filled] / images[filled]
    low, high = np.quantile(drawn, TAILS, axis=0)
    return pd.DataFrame(
        {
            "bin": filled,
            "images": images[filled],
            "confidence": np.bincount(places, confidences, BINS)[filled] / images[filled],
            "accuracy": np.bincount(places, right, BINS)[filled] / images[filled],
            "low": low,
            "high": high,
        }
    )


def bins_of(confidences: np.ndarray) -> np.ndarray:
    """The bin (n,) of each confidence, 0 to BINS - 1; a bound belongs to the bin above it."""
    return np.minimum((np.asarray(confidences) * BINS).astype(int), BINS - 1)


def calibration_error(bins: pd.DataFrame) -> float:
    """Expected calibration error: |accuracy - confidence|, mean over images (Naeini 2015)."""
    gaps = (bins["accuracy"] - bins["confidence"]).abs()
    return float((gaps * bins["images"]).sum() / bins["images"].sum())


def null_errors(confidences: np.ndarray) -> tuple[float, float]:
    """Between what calibration errors 95 % of perfectly calibrated models with these confidences
    (n,) lie: even they show one, for n images are not all there are."""
    places = bins_of(confidences)
    expected = np.bincount(places, confidences, BINS)
    errors = np.abs(_drawn_right(confidences, places) - expected).sum(axis=1) / len(places)
    low, high = np.quantile(errors, TAILS)
    return float(low), float(high)


def mean_loss(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross-entropy in nats of probabilities (n, classes)."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(float)
    return float(-np.log(np.maximum(of_truth, SMALLEST)).mean())


def brier_score(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean over images of the squared distance to the truth, summed over classes, 0 to 2
    (Brier 1950)."""
    values = probabilities.astype(float)
    of_truth = values[np.arange(len(labels)), labels]
    return float(((values**2).sum(axis=1) - 2 * of_truth + 1).mean())


def fitted_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The temperature that makes the mean cross-entropy least (Guo et al. 2017): above 1 for a
    model that is too sure, below for one that is not sure enough.

    Logits are the logarithms of the probabilities, each at least SMALLEST, so that what float16
    rounded to 0 or 1 stays finite. Within TEMPERATURES; a bound means that it lies beyond.
    """
    logits = np.log(np.maximum(probabilities.astype(float), SMALLEST))

    def loss_at(log: float) -> float:
        scaled = logits / math.exp(log)
        scaled -= scaled.max(axis=1, keepdims=True)
        sums = np.log(np.exp(scaled).sum(axis=1))
        return float((sums - scaled[np.arange(len(labels)), labels]).mean())

    return math.exp(_lowest(loss_at, *map(math.log, TEMPERATURES)))


def _lowest(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is lowest, by golden section; 24 MB of scipy.optimize do
    it no better."""
    golden = (math.sqrt(5) - 1) / 2
    left, right = high - golden * (high - low), low + golden * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > 1e-4:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - golden * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + golden * (high - low)
            at_right = function(right)
    return (low + high) / 2


def _drawn_right(confidences: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How many are right per bin in (SIMULATIONS, BINS) draws in which each image is right with
    its confidence."""
    random = np.random.default_rng(SEED)
    order = np.argsort(places, kind="stable")
    chances = np.asarray(confidences)[order].astype(np.float32)
    filled, begins = np.unique(places[order], return_index=True)
    drawn = np.zeros((SIMULATIONS, BINS))
    at_once = max(2**20 // len(chances), 1)  # random numbers that are in memory together
    for first in range(0, SIMULATIONS, at_once):
        rows = drawn[first : first + at_once]
        right = random.random((len(rows), len(chances)), np.float32) < chances
        rows[:, filled] = np.add.reduceat(right, begins, axis=1, dtype=np.int64)
    return drawn
