"""How a network did: class probabilities scored in one way everywhere, and its model exported."""

import shutil
import warnings
from typing import Any

import keras
import numpy as np

from tl_engine.analysis.predictions import confusion_counts
from tl_engine.errors import StoreError
from tl_engine.learning.network import load_network
from tl_engine.runs import Run
from tl_engine.runs.run_outputs import bytes_on_disk, write_model


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


def predicted_classes(probabilities: np.ndarray) -> np.ndarray:
    """The most likely class of each image, (n,), from float16 as stored, so that every page counts
    the same images as correct."""
    return probabilities.astype(np.float16).argmax(axis=1)


def export_model(run: Run, suffix: str) -> None:
    """Write a finished run's model in one of MODEL_FORMATS.

    Raises:
        StoreError: where the run has no trained model, or the disk no room for it.
    """
    needed = 2 * bytes_on_disk(run)  # HDF5's own way to report a full disk can be a crash
    if shutil.disk_usage(run.path).free < needed:
        raise StoreError(f"Disk full: {needed / 1e6:.0f} MB needed for model.{suffix}.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls HDF5 legacy; it was chosen by name
        write_model(run, load_network(run).save, suffix)
