"""Which operations training spends its time in, as TensorFlow's profiler sees them.

    python -m bench.operations [--backbone efficientnet-lite0] [--trainable all]

Trains an epoch of 512 images to warm up and profiles a second one; the seconds are those of all
threads together.
"""

from __future__ import annotations

import argparse
import collections
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from bench.speed import SIZES, recipe_of
from tl_engine.data import sources
from tl_engine.data.splits import split
from tl_engine.learning.device import prepare_device
from tl_engine.learning.network import Network
from tl_engine.recipe import Phase
from tl_engine.study import Seeds

IMAGES, SHOWN = 512, 12


def main() -> None:
    """Print the operations that take most, and what all take."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0", choices=list(SIZES))
    parser.add_argument("--trainable", default="all")
    options = parser.parse_args()
    recipe = recipe_of(options.backbone, Phase(options.trainable, 1, 1e-5), images=IMAGES)
    os.environ["THAW_FEATURES"] = "off"  # through the frozen layers, not above them
    prepare_device(2)
    seeds = Seeds.of_pair(1)
    graphs = Network(recipe, seeds).enter(recipe, recipe.phases[0])
    train = split(sources.load(recipe.dataset), IMAGES, seeds.data).train
    epoch = (train, train.labels, np.arange(IMAGES), recipe.batch_size, lambda done: None)
    graphs.training.train(*epoch)
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            began = time.perf_counter()
            graphs.training.train(*epoch)
            seconds = time.perf_counter() - began
        spent = _by_operation(next(Path(folder).rglob("*.xplane.pb")))
    whole = sum(spent.values())
    print(f"{options.backbone}, {options.trainable}: {IMAGES} images in {seconds:.2f} s")
    for name, taken in spent.most_common(SHOWN):
        print(f"{name:<52}{taken:>8.2f} s{taken / whole:>7.1%}")
    print(f"{'all operations':<52}{whole:>8.2f} s, {whole / seconds:.2f} threads busy on average")


def _by_operation(trace: Path) -> collections.Counter[str]:
    """Seconds of each kind of operation, as the executor's events are named: "name:Kind"."""
    space = xplane_pb2.XSpace.FromString(trace.read_bytes())
    spent: collections.Counter[str] = collections.Counter()
    for plane in space.planes:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if (
                    name.count(":") == 1 and ": " not in name
                ):  # others are the executor's own, around these
                    spent[name.partition(":")[2]] += event.duration_ps / 1e12
    return spent


if __name__ == "__main__":
    main()
