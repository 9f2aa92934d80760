"""What a finished run leaves: scores, per-image probabilities, the model; and its export."""

from __future__ import annotations

import shutil
import warnings
from typing import Any

import keras
import numpy as np

from tl_engine.data.splits import Split
from tl_engine.errors import StoreError
from tl_engine.learning.finished_networks import load_network
from tl_engine.learning.model import restore_published_dropout
from tl_engine.learning.progress import ProgressReporter
from tl_engine.learning.scoring import counted
from tl_engine.runs import ClaimedRun, Run
from tl_engine.runs.run_outputs import bytes_on_disk, write_model


def finish(
    run: ClaimedRun,
    model: keras.Model,
    validation: Split,
    probabilities: np.ndarray,
    phases: list[dict[str, Any]],
    progress: ProgressReporter,
) -> None:
    """Write what a finished run leaves. The test split is not used: it stays locked until somebody
    opens it.

    Args:
        probabilities: (n, classes) of the validation split.
        phases: records of the run's phases.
    """
    scores = counted(probabilities, validation.labels, run.recipe.described_dataset.classes)
    arrays = {
        "validation": probabilities.astype(np.float16),
        "validation_labels": validation.labels,
        "validation_indices": validation.indices,
    }
    run.record_results({"splits": {"validation": scores}, "phases": phases}, arrays)
    progress.stage("Saving the model")
    restore_published_dropout(model)
    run.save_model(model.save)


def export_h5(run: Run) -> None:
    """Write model.h5 beside model.keras.

    Raises:
        StoreError: where the run has no trained model, or the disk no room for it.
    """
    needed = 2 * bytes_on_disk(run)  # HDF5's own way to report a full disk can be a crash
    if shutil.disk_usage(run.path).free < needed:
        raise StoreError(f"Disk full: {needed / 1e6:.0f} MB needed for model.h5.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras calls the format legacy; it was chosen by name
        write_model(run, load_network(run).model.save, "h5")
