"""Read arrays from a PyTorch file of the legacy format (before 1.6), without PyTorch.

The file is four pickles (magic number, protocol, system, state dict), one more with the keys of
its storages, then each storage as an element count and raw little-endian values. Pickles can run
code, so only what a state dict needs is admitted, whoever wrote the file.
"""

from __future__ import annotations

import pickle
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": "<f4", "LongStorage": "<i8"}


@dataclass(frozen=True)
class _Tensor:
    """Where an array lies in its storage; offset and strides in elements."""

    storage: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _StateDictUnpickler(pickle.Unpickler):
    """Admits OrderedDict, tensors and the storage types; nothing else."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.dtypes: dict[str, str] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"a state dict holds no {module}.{name}")

    def persistent_load(self, pid: Any) -> str:
        _, dtype, key, *_ = pid
        self.dtypes[key] = dtype
        return key


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Arrays by their names.

    Raises:
        pickle.UnpicklingError: for a file of another format, or one that holds anything else.
    """
    with open(path, "rb") as file:
        if _StateDictUnpickler(file).load() != MAGIC:
            raise pickle.UnpicklingError(f"{path.name} is no PyTorch file of the legacy format")
        for _ in ("protocol", "system"):
            _StateDictUnpickler(file).load()
        state = _StateDictUnpickler(file)
        tensors = state.load()
        storages = {
            key: _storage(file, state.dtypes[key]) for key in _StateDictUnpickler(file).load()
        }
    return {name: _array(tensor, storages[tensor.storage]) for name, tensor in tensors.items()}


def _tensor(
    storage: str, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any
) -> _Tensor:
    return _Tensor(storage, offset, shape, strides)


def _storage(file: BinaryIO, dtype: str) -> np.ndarray:
    count = int.from_bytes(file.read(8), "little")
    return np.frombuffer(file.read(count * np.dtype(dtype).itemsize), dtype)


def _array(tensor: _Tensor, storage: np.ndarray) -> np.ndarray:
    """A copy of the tensor; the file decides its strides, so they are checked first."""
    steps = [(n - 1) * step for n, step in zip(tensor.shape, tensor.strides, strict=True)]
    if min([tensor.offset, *steps]) < 0 or tensor.offset + sum(steps) >= len(storage):
        raise pickle.UnpicklingError("a tensor lies outside its storage")
    strides = [step * storage.itemsize for step in tensor.strides]
    return np.lib.stride_tricks.as_strided(storage[tensor.offset :], tensor.shape, strides).copy()
