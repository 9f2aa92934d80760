"""What a finished run leaves: scores, per-image probabilities, the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tl_engine.catalog.datasets import dataset
from tl_engine.learning import model as networks
from tl_engine.learning.scoring import counted
from tl_engine.runs import ClaimedRun

if TYPE_CHECKING:
    from tl_engine.learning.training import Trainer


def finish(run: ClaimedRun, trainer: Trainer) -> None:
    """Write what a finished run leaves: probabilities, scores, the model. The test split is not
    looked at: it stays locked until somebody opens it."""
    if not hasattr(trainer, "validation"):  # every epoch was committed before this process began
        trainer.progress.stage("Measuring the validation split")
        trainer.set_stage(len(run.recipe.phases) - 1)
        trainer.validation = trainer.evaluate(trainer.splits.validation)
    part, probabilities = trainer.splits.validation, trainer.validation
    scores = counted(probabilities, part.labels, dataset(run.recipe.dataset).classes)
    arrays = {
        "validation": probabilities.astype(np.float16),
        "validation_labels": part.labels,
        "validation_indices": part.indices,
    }
    run.record_results({"splits": {"validation": scores}, "phases": trainer.phases}, arrays)
    trainer.progress.stage("Saving the model")
    networks.restore_published_dropout(trainer.network.model)
    run.save_model(trainer.network.model.save)
