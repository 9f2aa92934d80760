"""Loss, accuracy and confusions of class probabilities, computed in one way everywhere."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tl_engine.analysis.predictions import confusion_counts


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean cross-entropy and accuracy of class probabilities (n, classes)."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "loss": float(-np.log(np.maximum(of_truth, keras.config.epsilon())).mean()),
        "accuracy": float((predicted_classes(probabilities) == labels).mean()),
    }


def counted(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """The score with its counts: correct images, all images, and the confusion matrix."""
    predicted = predicted_classes(probabilities)
    return {
        "correct": int((predicted == labels).sum()),
        "total": len(labels),
        **score(probabilities, labels),
        "confusion": confusion_counts(labels, predicted, classes).tolist(),
    }


def finite_or_none(number: float | None) -> float | None:
    """The number, None where it is none or not finite, so that it can be JSON."""
    return float(number) if number is not None and np.isfinite(number) else None


def predicted_classes(probabilities: np.ndarray) -> np.ndarray:
    """The most likely class of each image, (n,), from float16 as stored, so that every page counts
    the same images as correct."""
    return probabilities.astype(np.float16).argmax(axis=1)
