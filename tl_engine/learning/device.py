"""The device that trains: pinned threads, deterministic kernels, and what to say of it later."""

from __future__ import annotations

import ctypes
from typing import Any

import tensorflow as tf

from tl_engine import machine

# Parameters of glibc's mallopt, from its malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4


def prepare_device(threads: int) -> dict[str, Any]:
    """Pin threads and determinism; before the first operation of the process.

    Thread count changes the order of sums and so the bits; op determinism makes two processes
    with the same threads agree to the last one (CPU).

    Returns:
        What a run records of its machine: system, processor, cores, memory in bytes, device.
    """
    _keep_freed_memory()
    if tf.config.threading.get_intra_op_parallelism_threads() != threads:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        # Operations that wait for none of the others run beside them: an eighth of a fine-tuning
        # step on two cores, with the same bits (docs/performance.md).
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    tf.config.experimental.enable_op_determinism()
    gpus = tf.config.list_physical_devices("GPU")
    return {
        **machine.description(),
        "device": gpus[0].name if gpus else "CPU",
        "threads": tf.config.threading.get_intra_op_parallelism_threads(),
    }


def _keep_freed_memory() -> None:
    """Let malloc keep what TensorFlow frees after every operation.

    glibc gives large blocks back to the system at once and gets them again, page by page, for the
    next operation: a third of the time in the kernel, and half the speed of fine-tuning on small
    images. `bench/allocator.py` measures it. Other C libraries are left as they are.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        mallopt(M_TOP_PAD, 256 * 2**20)
