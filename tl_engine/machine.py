"""What this machine is, and what it trains best with; found without loading TensorFlow."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import psutil

DRIVER = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU, where NVIDIA's driver for Linux runs."""


def description() -> dict[str, Any]:
    """What decides the bits of arithmetic here, besides versions and devices: system, processor,
    cores, and memory in bytes."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
    }


def recommended_settings(*, augmentation: bool = False) -> dict[str, Any]:
    """The settings of a recipe that a machine decides: half precision and XLA with a GPU, neither
    on a CPU, where XLA is 2 to 10 times slower than the plain kernels and half precision no
    faster. The recipe keeps them, wherever it is trained.

    Args:
        augmentation: of the recipe; XLA cannot compile it.
    """
    with_gpu = DRIVER.is_dir() and any(DRIVER.iterdir())
    return {
        "precision": "mixed float16" if with_gpu else "float32",
        "xla": with_gpu and not augmentation,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()
