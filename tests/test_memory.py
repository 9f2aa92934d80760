"""A data set that is larger than the memory a process may have is trained on all the same."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.server import PROJECT

ALLOWED = 1_200_000_000
IMAGES = 400_000
TRAIN = f"""
import resource
resource.setrlimit(resource.RLIMIT_DATA, ({ALLOWED}, {ALLOWED}))
import sys
import numpy as np
from tests.conftest import tiny_study
from tl_engine.learning.batches import TrainingGraph
from tl_engine.learning.training import train
from tl_engine.recipe import Phase
from tl_engine.runs import ClaimedRun, RunStore

learn = TrainingGraph.train
def short(graph, source, labels, order, *rest):
    assert len(order) == {IMAGES} * 0.9, len(order)
    learn(graph, source, labels, order[:: len(order) // 100], *rest)
TrainingGraph.train = short
study = tiny_study(Phase("all", 1, 1e-3), both=False, dataset="cifar10", train_images=None)
run = ClaimedRun(RunStore(sys.argv[1]).create(study).runs()[0])
run.begin()
train(run)
try:
    np.ones({ALLOWED} // 8)
except MemoryError:
    print(len(run.epochs()), "epoch, and no room for as much again")
"""


@pytest.mark.long
def test_images_larger_than_the_memory_allowed_train(tmp_path):
    folder = tmp_path / "keras" / "datasets" / "thaw-cifar10"
    folder.mkdir(parents=True)
    for part, count in (("train", IMAGES), ("test", 1000)):
        path = folder / f"{part}_images.npy"  # a file of holes: as long as it says, and all black
        np.lib.format.open_memmap(path, "w+", np.uint8, (count, 32, 32, 3)).flush()
        np.save(folder / f"{part}_labels.npy", np.arange(count, dtype=np.uint8) % 10)
    assert (folder / "train_images.npy").stat().st_size > ALLOWED
    done = subprocess.run(
        [sys.executable, "-c", TRAIN, str(tmp_path / "runs")],
        cwd=PROJECT,
        env={**os.environ, "KERAS_HOME": str(tmp_path / "keras")},
        capture_output=True,
        text=True,
    )
    assert done.stdout.endswith("1 epoch, and no room for as much again\n"), done.stderr[-2000:]
