"""Thaw beside plain Keras: `python -m bench.speed`, part of `make bench`.

    python -m bench.speed [--backbone efficientnet-lite0 resnet50] [--repetitions 3]

Both sides in fresh processes, in turn. Thaw's side is a whole study, drained by its worker from
an empty store: TensorFlow's import, commits, results and models included. Plain Keras' side is
one run of `bench/plain_keras.py`, its phases added up to the study (same epochs, TensorFlow's
import left out). `least` is Thaw's time over that of the image passes that nobody can avoid.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tl_engine.catalog.presets import ARTICLE_ALL, ARTICLE_HEAD, PRESETS
from tl_engine.recipe import Phase, Recipe
from tl_engine.runs import RunState, RunStore
from tl_engine.runs.run_outputs import log_tail
from tl_engine.study import Arm, Study, name_arms, with_reversed

SIZES = {"efficientnet-lite0": 64, "resnet50": 32}
RATES = [10 ** (-4.5 + 0.3 * step) for step in range(10)]
SEEDS = 5
SWEEP = "head learning rates: 10 rates x 5 seeds, 5,000 images"
ORDERS = PRESETS["six-orders"].orders
SAME_ALLOCATOR = {
    # What device._keep_freed_memory asks of glibc, for a process that does not know it.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1),
    "MALLOC_TOP_PAD_": str(256 * 2**20),
}


def recipe_of(backbone: str, *phases: Phase, images: int | None = 1000) -> Recipe:
    """Fashion-MNIST mini at a size that a CPU trains fast; None: all of its 5,000 images."""
    return Recipe(
        phases,
        backbone,
        pretrained=backbone == "efficientnet-lite0",
        train_images=images,
        image_size=SIZES[backbone],
    )


def fine_tuning(backbone: str) -> Study:
    """All layers for four epochs, one seed: nothing to reuse."""
    return Study("Fine-tuning", name_arms([recipe_of(backbone, replace(ARTICLE_ALL, epochs=4))]))


def two_orders(backbone: str, pairs: int = SEEDS) -> Study:
    """Both orders of the article's phases."""
    recipes = with_reversed([recipe_of(backbone, ARTICLE_ALL, ARTICLE_HEAD)])
    return Study("Two orders", name_arms(recipes), pairs)


def six_orders(backbone: str) -> Study:
    """All six orders, one seed."""
    return Study("Six orders", name_arms([recipe_of(backbone, *order) for order in ORDERS]))


def sweep(backbone: str) -> Study:
    """Ten learning rates of the head, five seeds, 5,000 images."""
    heads = [replace(ARTICLE_HEAD, learning_rate=rate) for rate in RATES]
    recipes = [recipe_of(backbone, head, images=None) for head in heads]
    arms = [Arm(f"{rate:.1e}", recipe) for rate, recipe in zip(RATES, recipes, strict=True)]
    return Study("Sweep", tuple(arms), SEEDS)


STUDIES = {"tune": fine_tuning, "two": two_orders, "six": six_orders, "sweep": sweep}


def drain(name: str, backbone: str) -> dict[str, Any]:
    """Train a study in this process' worker: seconds, every run's epochs, measured rates."""
    from tl_engine.execution import worker

    with tempfile.TemporaryDirectory() as folder:
        store = RunStore(Path(folder) / "runs")
        began = time.perf_counter()
        study = store.create(STUDIES[name](backbone))
        worker.drain(store, linger=0)
        seconds = time.perf_counter() - began
        runs = study.runs()
        assert all(run.state is RunState.FINISHED for run in runs), [log_tail(r) for r in runs]
        rates = {str(measured["trainable"]): measured for measured in store.measurements()}
        return {"seconds": seconds, "epochs": [run.epochs() for run in runs], "rates": rates}


def plain(recipe: Recipe, **environment: str) -> dict[str, Any]:
    """One run of the plain script."""
    return _printed(["bench.plain_keras", json.dumps(recipe.to_dict())], environment)


def thaw(name: str, backbone: str) -> dict[str, Any]:
    """A study in a process of its own."""
    return _printed(["bench.speed", "--study", name, "--backbone", backbone], {})


def _printed(words: list[str], environment: dict[str, str]) -> dict[str, Any]:
    command, settings = [sys.executable, "-m", *words], {**os.environ, **environment}
    done = subprocess.run(command, env=settings, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def phase_seconds(run: dict[str, Any], index: int) -> float:
    """What a phase took in the plain run: compilation and epochs."""
    return run["phases"][index]["compile"] + sum(run["phases"][index]["epochs"])


def later_epochs(run: dict[str, Any]) -> float:
    """The median epoch of the plain run's only phase, the first left out."""
    return statistics.median(run["phases"][0]["epochs"][1:])


def measure(backbone: str) -> dict[str, tuple[float, float, float]]:
    """One repetition: per row the seconds of plain Keras, of Thaw, and the least."""
    tuning = fine_tuning(backbone).arms[0].recipe
    bare, tuned, same = plain(tuning), thaw("tune", backbone), plain(tuning, **SAME_ALLOCATOR)
    run, two = plain(recipe_of(backbone, ARTICLE_ALL, ARTICLE_HEAD)), thaw("two", backbone)
    head_alone = recipe_of(backbone, ARTICLE_HEAD, images=None)
    swept, many, six = plain(head_alone), thaw("sweep", backbone), thaw("six", backbone)
    tune, head = phase_seconds(run, 0), phase_seconds(run, 1)
    six_plain = sum(
        run["build"] + sum(tune if phase.trains_backbone else head for phase in order)
        for order in ORDERS
    )
    rates = two["rates"]["all"]
    step, forward = rates["train_seconds_per_image"], rates["forward_seconds_per_image"]
    epoch = 1000 * step + 1500 * forward
    # Of the second pair: what was traced for the first one serves it.
    after = sum(line["seconds"] for line in two["epochs"][2] if line["phase"] == 1)
    epochs = statistics.median(line["seconds"] for line in tuned["epochs"][0][1:])
    two_plain = SEEDS * 2 * (run["build"] + tune + head)
    many_plain = len(RATES) * SEEDS * (swept["build"] + phase_seconds(swept, 0))
    # Random weights are another network for each seed.
    networks = 1 if head_alone.pretrained else SEEDS
    return {
        "four head epochs after fine-tuning": (head, after, 2000 * forward),
        SWEEP: (many_plain, many["seconds"], networks * (5000 + 1000 + 2000) * forward),
        "six orders, per seed": (six_plain, six["seconds"], 6 * epoch + 5000 * forward),
        "two orders, 5 seeds": (two_plain, two["seconds"], SEEDS * (4 * epoch + 3000 * forward)),
        "a fine-tuning epoch": (later_epochs(bare), epochs, epoch),
        "a fine-tuning epoch, plain with Thaw's allocator": (later_epochs(same), epochs, epoch),
    }


def report(backbone: str, repetitions: Sequence[dict[str, tuple[float, float, float]]]) -> None:
    """A line per row: medians, the ratio with its spread, and the distance from the least."""
    print(f"\n{backbone} at {SIZES[backbone]} px, {len(repetitions)} repetitions")
    print(f"{'':<56}{'plain':>9}{'Thaw':>9}{'ratio':>8}  {'spread':<14}{'least':>6}")
    for row in repetitions[0]:
        sides = [one[row] for one in repetitions]
        ratios = sorted(plain / thaw for plain, thaw, _ in sides)
        middle = [statistics.median(values) for values in zip(*sides, strict=True)]
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(
            f"{row:<56}{middle[0]:>7.1f} s{middle[1]:>7.1f} s{statistics.median(ratios):>7.2f}x"
            f"  {spread:<14}{middle[1] / middle[2]:>5.2f}x",
            flush=True,
        )


def main() -> None:
    """Measure, interleaved, and report after every repetition."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backbone", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--study", choices=list(STUDIES), help=argparse.SUPPRESS)
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
