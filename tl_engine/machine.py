"""What this machine is, and what it trains best with; found without loading TensorFlow."""

from __future__ import annotations

import os
import platform
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

DRIVER = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU, where NVIDIA's driver for Linux runs."""

VERSIONED_PACKAGES = ("tensorflow", "keras", "numpy")
WITH_ONEDNN = frozenset(
    {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
)
"""Flags of processors on which TensorFlow uses oneDNN unless told otherwise
(IsMklEnabled in tensorflow/core/util/port.cc)."""


def use_onednn() -> None:
    """Let TensorFlow use oneDNN's kernels on every processor; before it is loaded.

    On processors where it would use Eigen's (AVX2 and older) the features of an image depend on
    its place in the batch, so that kept features would change the bits of a run
    (tests/test_features.py). `TF_ENABLE_ONEDNN_OPTS=0` in the environment still wins.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def description() -> dict[str, Any]:
    """What decides the bits of arithmetic here, besides versions and devices: system, processor,
    cores, memory in bytes, and kernels where they are others than earlier versions used."""
    kernels = {} if WITH_ONEDNN & _processor_flags() else {"kernels": "oneDNN"}
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        **kernels,
    }


def versions() -> dict[str, str]:
    """Versions that can change a run's bits; read without importing the packages."""
    return dict(_versions())


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    installed = {name: version(name) for name in VERSIONED_PACKAGES}
    return {"python": platform.python_version(), **installed}


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


def _processor_flags() -> set[str]:
    """Empty where the system does not tell them."""
    return {flag for line in _facts_of_processor("flags") for flag in line.split()}


def _facts_of_processor(name: str) -> list[str]:
    try:
        with open("/proc/cpuinfo") as lines:
            return [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    except OSError:
        return []


def _processor() -> str:
    names = _facts_of_processor("model name")
    return names[0] if names else platform.processor() or platform.machine()
