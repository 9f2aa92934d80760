"""What a finished run leaves: scores, per-image probabilities, the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tl_engine.analysis.confusion import confusion_counts
from tl_engine.catalog.datasets import dataset
from tl_engine.learning import model as networks
from tl_engine.learning.scores import decide, score
from tl_engine.runs import ClaimedRun

if TYPE_CHECKING:
    from tl_engine.learning.training import Trainer


def finish(run: ClaimedRun, trainer: Trainer) -> None:
    """Write what a finished run leaves: probabilities, scores, the model."""
    trainer.progress.stage("Measuring the test split")
    if not hasattr(trainer, "validation"):  # every epoch was committed before this process began
        trainer.set_stage(len(run.recipe.phases) - 1)
        trainer.validation = trainer.evaluate(trainer.splits.validation)
    parts = {
        "validation": (trainer.splits.validation, trainer.validation),
        "test": (trainer.splits.test, trainer.evaluate_test()),
    }
    arrays, scores = {}, {}
    classes = dataset(run.recipe.dataset).classes
    for name, (part, probabilities) in parts.items():
        arrays[name] = probabilities.astype(np.float16)
        arrays[f"{name}_labels"] = part.labels
        arrays[f"{name}_indices"] = part.indices
        predicted = decide(probabilities)
        scores[name] = {
            "correct": int((predicted == part.labels).sum()),
            "total": len(part.labels),
            **score(probabilities, part.labels),
            "confusion": confusion_counts(part.labels, predicted, classes).tolist(),
        }
    run.record_results({"splits": scores, "phases": trainer.phases}, arrays)
    trainer.progress.stage("Saving the model")
    networks.restore_published_dropout(trainer.network.model)
    run.save_model(trainer.network.model.save)
