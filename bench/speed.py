"""Thaw beside plain Keras: `python -m bench.speed`, part of `make bench`.

    python -m bench.speed [--backbone efficientnet-lite0 resnet50] [--repetitions 3]

Both sides in fresh processes, in turn. Thaw's side is a whole study, drained by its worker from
an empty store: TensorFlow's import, commits, results and models included. Plain Keras' side is
one run of `bench/plain_keras.py`, its phases added up to the study (same epochs, TensorFlow's
import left out). `least` is Thaw's time over that of the image passes that nobody can avoid.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from statistics import median
from typing import Any

from bench.measured import new_store
from tl_engine.catalog.presets import ARTICLE_ALL, ARTICLE_HEAD, PRESETS
from tl_engine.execution import worker
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunState
from tl_engine.runs.run_outputs import log_tail
from tl_engine.study import Arm, Study, name_arms, with_reversed

SIZES = {"efficientnet-lite0": 64, "resnet50": 32}
RATES = [10 ** (-4.5 + 0.3 * step) for step in range(10)]
SEEDS = 5
ORDERS = PRESETS["six-orders"].orders
SAME_ALLOCATOR = {
    # What device._cache_freed_memory asks of glibc, for a process that does not know it.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}


def recipe_of(backbone: str, *phases: Phase, images: int | None = 1000) -> Recipe:
    """Fashion-MNIST mini at a size that a CPU trains fast; None: all of its 5,000 images."""
    pretrained, size = backbone == "efficientnet-lite0", SIZES[backbone]
    return Recipe(phases, backbone, pretrained=pretrained, train_images=images, image_size=size)


def studies(backbone: str) -> dict[str, Study]:
    """By name: fine-tuning for four epochs and all six orders, one seed each; both orders of the
    article's phases; ten learning rates of the head on 5,000 images."""
    tuning = recipe_of(backbone, replace(ARTICLE_ALL, epochs=4))
    two = with_reversed([recipe_of(backbone, ARTICLE_ALL, ARTICLE_HEAD)])
    six = [recipe_of(backbone, *order) for order in ORDERS]
    heads = {f"{rate:.1e}": replace(ARTICLE_HEAD, learning_rate=rate) for rate in RATES}
    arms = [Arm(name, recipe_of(backbone, head, images=None)) for name, head in heads.items()]
    return {
        "tune": Study("Fine-tuning", name_arms([tuning])),
        "two": Study("Two orders", name_arms(two), SEEDS),
        "six": Study("Six orders", name_arms(six)),
        "sweep": Study("Sweep", tuple(arms), SEEDS),
    }


def drain(name: str, backbone: str) -> dict[str, Any]:
    """Train a study in this process' worker: seconds, every run's epochs, measured rates."""
    with new_store() as store:
        began = time.perf_counter()
        study = store.create(studies(backbone)[name])
        worker.drain(store, linger=0)
        seconds = time.perf_counter() - began
        runs = study.runs()
        assert all(run.state is RunState.FINISHED for run in runs), [log_tail(r) for r in runs]
        rates = {str(measured["trainable"]): measured for measured in store.measurements()}
        return {"seconds": seconds, "epochs": [run.epochs() for run in runs], "rates": rates}


def plain(recipe: Recipe, **environment: str) -> dict[str, Any]:
    """One run of the plain script."""
    return _printed("bench.plain_keras", json.dumps(recipe.to_dict()), **environment)


def _printed(*words: str, **environment: str) -> dict[str, Any]:
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def phase_seconds(run: dict[str, Any], index: int) -> float:
    """What a phase took in the plain run: compilation and epochs."""
    return run["phases"][index]["compile"] + sum(run["phases"][index]["epochs"])


def measure(backbone: str) -> dict[str, tuple[float, float, float]]:
    """One repetition: per row the seconds of plain Keras, of Thaw, and the least."""
    thaw = partial(_printed, "bench.speed", "--backbone", backbone, "--study")
    tuning = studies(backbone)["tune"].arms[0].recipe
    bare, tuned, same = plain(tuning), thaw("tune"), plain(tuning, **SAME_ALLOCATOR)
    run, two = plain(recipe_of(backbone, ARTICLE_ALL, ARTICLE_HEAD)), thaw("two")
    head_alone = recipe_of(backbone, ARTICLE_HEAD, images=None)
    swept, many, six = plain(head_alone), thaw("sweep"), thaw("six")
    tune, head = phase_seconds(run, 0), phase_seconds(run, 1)
    six_plain = sum(
        run["build"] + sum(tune if phase.trains_backbone else head for phase in order)
        for order in ORDERS
    )
    rates = two["rates"]["all"]
    forward = rates["forward_seconds_per_image"]
    epoch = 1000 * rates["train_seconds_per_image"] + 1500 * forward
    # Of the second pair: what was traced for the first one serves it.
    after = sum(line["seconds"] for line in two["epochs"][2] if line["phase"] == 1)
    # The first epoch is left out: it traces.
    epochs = median(line["seconds"] for line in tuned["epochs"][0][1:])
    bare_epochs, same_epochs = (median(run["phases"][0]["epochs"][1:]) for run in (bare, same))
    two_plain = SEEDS * 2 * (run["build"] + tune + head)
    many_plain = len(RATES) * SEEDS * (swept["build"] + phase_seconds(swept, 0))
    # Random weights are another network for each seed.
    networks = 1 if head_alone.pretrained else SEEDS
    least = networks * (5000 + 1000 + 2000) * forward
    sweep = (many_plain, many["seconds"], least)
    return {
        "four head epochs after fine-tuning": (head, after, 2000 * forward),
        "head learning rates: 10 rates x 5 seeds, 5,000 images": sweep,
        "six orders, per seed": (six_plain, six["seconds"], 6 * epoch + 5000 * forward),
        "two orders, 5 seeds": (two_plain, two["seconds"], SEEDS * (4 * epoch + 3000 * forward)),
        "a fine-tuning epoch": (bare_epochs, epochs, epoch),
        "a fine-tuning epoch, plain with Thaw's allocator": (same_epochs, epochs, epoch),
    }


def report(backbone: str, repetitions: Sequence[dict[str, tuple[float, float, float]]]) -> None:
    """A line per row: medians, the ratio with its spread, and the distance from the least."""
    print(f"\n{backbone} at {SIZES[backbone]} px, {len(repetitions)} repetitions")
    print(f"{'':<56}{'plain':>9}{'Thaw':>9}{'ratio':>8}  {'spread':<14}{'least':>6}")
    for row in repetitions[0]:
        sides = [one[row] for one in repetitions]
        ratios = sorted(plain / thaw for plain, thaw, _ in sides)
        middle = [median(values) for values in zip(*sides, strict=True)]
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(
            f"{row:<56}{middle[0]:>7.1f} s{middle[1]:>7.1f} s{median(ratios):>7.2f}x"
            f"  {spread:<14}{middle[1] / middle[2]:>5.2f}x",
            flush=True,
        )


def main() -> None:
    """Measure, interleaved, each study in a process of its own; report after every repetition."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--study", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.study:
        print(json.dumps(drain(options.study, options.backbone[0])))
        return
    for backbone in options.backbone:
        repetitions = []
        for _ in range(options.repetitions):
            repetitions.append(measure(backbone))
            report(backbone, repetitions)


if __name__ == "__main__":
    main()
