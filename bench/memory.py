"""Peak memory of training on 50,000 images of CIFAR's size: `python -m bench.memory`.

Random images in the place and format of the prepared CIFAR-10, ResNet-50 at 64 px with random
weights: so many batches of fine-tuning, then the features of every image and a head on them. A
data set of any size is mapped from its files, and images are read batch by batch:

    python -m bench.memory --images 1200000 --allowed 3

trains on 3.7 GB of images where the process may have 3 GB of its own (RLIMIT_DATA).
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import numpy as np

from tl_engine.catalog.datasets import DATASETS
from tl_engine.data import formats
from tl_engine.learning.batches import TrainingGraph
from tl_engine.learning.training import train
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import ClaimedRun, RunStore
from tl_engine.study import Arm, Study


def fill(home: Path, images: int) -> None:
    """Random images where the prepared CIFAR-10 would be."""
    os.environ["KERAS_HOME"] = str(home)
    folder = formats.prepared_folder("cifar10")
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", images), ("test", 10_000)):
        shape = (count, 32, 32, 3)
        file = np.lib.format.open_memmap(folder / f"{part}_images.npy", "w+", np.uint8, shape)
        for start in range(0, count, 1000):
            file[start : start + 1000] = random.integers(0, 256, (1000, 32, 32, 3), np.uint8)
        file.flush()
        np.save(folder / f"{part}_labels.npy", np.arange(count, dtype=np.uint8) % 10)


def status(name: str) -> float:
    """A figure of /proc/self/status, in GB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1]) / 1e6


def main() -> None:
    """Train, and print the peak after each phase."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=DATASETS["cifar10"].train)
    parser.add_argument("--batches", type=int, default=40, help="of fine-tuning")
    parser.add_argument("--head", action="store_true", help="and the head, for some minutes")
    parser.add_argument("--allowed", type=float, metavar="GB", help="memory of its own")
    options = parser.parse_args()
    if options.allowed:
        limit = int(options.allowed * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    recipe = Recipe(
        (Phase("all", 1, 1e-5), *([Phase("head", 2, 1e-3)] if options.head else [])),
        backbone="resnet50",
        pretrained=False,
        dataset="cifar10",
        image_size=64,
    )
    learn = TrainingGraph.train

    def some(graph: TrainingGraph, source, labels, order, size, beat, skipped=0, at_once=1) -> None:
        if at_once == 1:
            order = order[: options.batches * size]
        learn(graph, source, labels, order, size, beat, skipped, at_once)

    TrainingGraph.train = some  # type: ignore[method-assign, assignment]
    with tempfile.TemporaryDirectory() as folder:
        fill(Path(folder) / "home", options.images)
        store = RunStore(Path(folder) / "runs")
        study = Study("Memory", (Arm("Arm", recipe),))
        run = ClaimedRun(store.create(study).runs()[0])
        run.begin()
        train(run)
    print(
        f"{options.images:,} images, {recipe.order}: peak {status('VmHWM'):.2f} GB, now "
        f"{status('RssAnon'):.2f} GB of its own and {status('RssFile'):.2f} GB mapped from files"
    )


if __name__ == "__main__":
    main()
