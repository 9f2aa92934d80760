"""What committing a checkpoint after every epoch costs.

    python -m bench.checkpoint [--backbone efficientnet-lite0]

Trains the recipe of Try it for two epochs in each phase, and times every commit: variables out
of the model, npz files, sha256, fsync, manifest. An epoch is its training and its measurements.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

from tl_engine.catalog.backbones import BACKBONES
from tl_engine.learning.training import train
from tl_engine.learning.training_state import TrainingState
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import ClaimedRun, RunStore
from tl_engine.study import Arm, Study


def main() -> None:
    """Train, and print a line per epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0", choices=sorted(BACKBONES))
    options = parser.parse_args()
    recipe = Recipe(
        (Phase("all", 2, 1e-5), Phase("head", 2, 1e-3)),
        backbone=options.backbone,
        pretrained=options.backbone == "efficientnet-lite0",
        train_images=1000,
    )
    seconds = []
    commit = TrainingState.commit

    def timed(state: TrainingState, optimizer: Any) -> None:
        began = time.perf_counter()
        commit(state, optimizer)
        seconds.append(time.perf_counter() - began)

    TrainingState.commit = timed  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        study = Study("Cost of a commit", (Arm("Fine-tune first", recipe),))
        run = ClaimedRun(store.create(study).runs()[0])
        run.begin()
        train(run)
        for line, spent in zip(run.epochs(), seconds, strict=True):
            print(
                f"{options.backbone}, {line['trainable']}: commit {spent:.3f} s, epoch "
                f"{line['seconds']:.2f} s, {spent / line['seconds']:.1%}"
            )
        print(f"on disk at the end: {run.bytes_on_disk() / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
