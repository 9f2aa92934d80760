"""What this machine is, what it trains best with, and where this Thaw and its runs lie on it; found
without loading TensorFlow.

In a checkout the pages lie beside `tl_engine`. A wheel puts them into a folder `thaw` beside it, so
that no name as common as `ui` or `pages` is taken among the installed packages.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil

DRIVER = Path("/proc/driver/nvidia/gpus")
"""A folder per GPU, where NVIDIA's driver for Linux runs."""
RUNS_DIR = "THAW_RUNS_DIR"
"""Environment variable: the folder of studies."""
PARENT = Path(__file__).resolve().parents[1]
"""The folder that holds `tl_engine`."""
WITH_ONEDNN = {"avx512_vnni", "avx512_bf16", "avx_vnni", "amx_tile", "amx_int8", "amx_bf16"}
"""Flags of processors on which TensorFlow uses oneDNN unless told otherwise
(IsMklEnabled in tensorflow/core/util/port.cc)."""


def use_onednn() -> None:
    """Let TensorFlow use oneDNN's kernels on every processor; before it is loaded.

    On processors where it would use Eigen's (AVX2 and older) the features of an image depend on
    its place in the batch, so that kept features would change the bits of a run
    (tests/test_features.py). `TF_ENABLE_ONEDNN_OPTS=0` in the environment still wins.
    """
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def work_in_background() -> None:
    """Give this process less of the processor than pages get."""
    os.nice(10)
    quiet_tensorflow()


def quiet_tensorflow() -> None:
    """Let TensorFlow say only what is wrong, in this process and in those that it starts."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")


def description() -> dict[str, Any]:
    """What decides the bits of arithmetic here, besides versions and devices: system, processor,
    cores, memory in bytes, and kernels where they are others than earlier versions used."""
    flags = {flag for line in _facts_of_processor("flags") for flag in line.split()}
    names = iter(_facts_of_processor("model name"))
    kernels = {} if WITH_ONEDNN & flags else {"kernels": "oneDNN"}
    return {
        "system": platform.platform(),
        "processor": next(names, "") or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory": psutil.virtual_memory().total,
        **kernels,
    }


@lru_cache(maxsize=1)
def versions() -> Mapping[str, str]:
    """Versions that can change a run's bits; read without importing the packages."""
    installed = {name: version(name) for name in ("tensorflow", "keras", "numpy")}
    return {"python": platform.python_version(), **installed}


def recommended_settings(*, augmentation: bool = False) -> dict[str, Any]:
    """The settings of a recipe that a machine decides: half precision and XLA with a GPU, neither
    on a CPU, where XLA is 2 to 10 times slower than the plain kernels and half precision no
    faster; no XLA with augmentation, which it cannot compile. The recipe keeps them, wherever it is
    trained."""
    with_gpu = DRIVER.is_dir() and any(DRIVER.iterdir())
    return {
        "precision": "mixed float16" if with_gpu else "float32",
        "xla": with_gpu and not augmentation,
    }


def _facts_of_processor(name: str) -> list[str]:
    """Empty where the system does not tell them."""
    try:
        with open("/proc/cpuinfo") as lines:
            return [line.partition(":")[2].strip() for line in lines if line.startswith(name)]
    except OSError:
        return []


def is_checkout(parent: Path = PARENT) -> bool:
    """Whether this is the repository, and not an installed wheel."""
    return not (parent / "thaw" / "app.py").is_file()


def app_script(parent: Path = PARENT) -> Path:
    """The script that Streamlit runs; pages/, ui/ and .streamlit/ lie beside it."""
    return (parent if is_checkout(parent) else parent / "thaw") / "app.py"


def default_runs_folder(parent: Path = PARENT) -> Path:
    """The folder of studies for app and command line alike: what THAW_RUNS_DIR says, else `runs`
    in the checkout, else a folder of the user's own data (XDG Base Directory Specification)."""
    if wanted := os.environ.get(RUNS_DIR):
        return Path(wanted)
    if is_checkout(parent):
        return parent / "runs"
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "thaw" / "runs"
