"""What keeping freed memory is worth: `python -m bench.allocator`.

Fine-tuning EfficientNet-Lite0 at 64 px, batch 64, in fresh processes, with and without
`device._keep_freed_memory`, in turn.
"""

from __future__ import annotations

import statistics
import subprocess
import sys

REPETITIONS = 3
PROGRAM = """
import sys, time
from tl_engine.catalog.presets import preset
from tl_engine.learning import device
from tl_engine.learning.timing import random_images
from tl_engine.learning.network import Network
from tl_engine.study import Seeds
if sys.argv[1] == "plain":
    device._keep_freed_memory = lambda: None
device.prepare_device(2)
recipe = preset("try-it").study().arms[0].recipe
training = Network(recipe, Seeds.of_pair(1)).enter(recipe, recipe.phases[0]).training
pixels = random_images(recipe, 256)
epoch = (pixels, pixels.labels, range(256), 64, lambda done: None)
training.train(*epoch)
began = time.perf_counter()
training.train(*epoch)
print(256 / (time.perf_counter() - began))
"""


def main() -> None:
    """Print images per second of both, and their ratio."""
    speeds: dict[str, list[float]] = {"plain": [], "kept": []}
    for _ in range(REPETITIONS):
        for kind, found in speeds.items():
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, kind], capture_output=True, text=True, check=True
            )
            found.append(float(done.stdout.split()[-1]))
    for kind, found in speeds.items():
        print(f"{kind:<8}{', '.join(f'{speed:.0f}' for speed in found)} images/s")
    plain, kept = (statistics.median(found) for found in speeds.values())
    print(f"ratio   {kept / plain:.2f}")


if __name__ == "__main__":
    main()
