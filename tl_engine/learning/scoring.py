"""What probabilities are worth: loss and accuracy, decided the same way everywhere."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from tl_engine.analysis.confusion import confusion_counts


def score(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Mean cross-entropy and accuracy of class probabilities (n, classes)."""
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return {
        "loss": float(-np.log(np.maximum(of_truth, keras.config.epsilon())).mean()),
        "accuracy": float((decide(probabilities) == labels).mean()),
    }


def counted(probabilities: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, Any]:
    """The score with what it counts: how many are right, of how many, and the confusions."""
    predicted = decide(probabilities)
    return {
        "correct": int((predicted == labels).sum()),
        "total": len(labels),
        **score(probabilities, labels),
        "confusion": confusion_counts(labels, predicted, classes).tolist(),
    }


def decide(probabilities: np.ndarray) -> np.ndarray:
    """The predicted class per image; of the float16 values that are stored, so that every page
    counts the same images right."""
    return probabilities.astype(np.float16).argmax(axis=1)
