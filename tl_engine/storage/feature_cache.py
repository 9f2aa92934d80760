"""The outputs of frozen layers for images, cached so that they are not computed twice.

An entry of kind "features" holds some images of one published array: `indices.npy` (n,) and
`rows.npy` (n, ...) float32, a row per image. A key may have several entries; an image's row is the
same in each of them, whichever run computed it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, NotRequired, TypedDict

import numpy as np
from msgspec import Meta

from tl_engine.storage import atomic
from tl_engine.storage.cache import Cache, Entry

KIND = "features"
Rows = Callable[[np.ndarray], Iterable[np.ndarray]]
"""Computes the rows (m, ...) float32 of images, given their indices, in batches and in order."""
Seconds = Annotated[float, Meta(ge=0, le=1e300)]


class Cost(TypedDict):
    """The facts of an entry: the seconds that computing some images' rows took; `tracing` of them
    went into tracing the graph."""

    images: Annotated[int, Meta(ge=1, le=10**9)]
    seconds: Seconds
    tracing: NotRequired[Seconds]


class Features:
    """A row per image of a split, in the split's order.

    Attributes:
        seconds: spent now, on the rows that were not cached.
        cold_seconds: that computing all rows would take with a traced graph.
        tracing: the most seconds that tracing the graph took in any computation of these rows;
            0 where it was traced before.
    """

    def __init__(
        self, arrays: list[np.ndarray], places: np.ndarray, seconds: float, costs: list[Cost]
    ) -> None:
        """
        Args:
            arrays: rows, mapped from files or in memory; `costs` are what each took.
            places: (n, 2), for each image the number of its array and its row there.
        """
        self._arrays = arrays
        self._places = places
        self.seconds = seconds
        # A few images take about as long as a batch: the most images tell best what one takes.
        images, spent, traced = max(
            (cost["images"], cost["seconds"], cost.get("tracing", 0.0)) for cost in costs
        )
        self.cold_seconds = (spent - traced) / images * len(places)
        self.tracing = max(cost.get("tracing", 0.0) for cost in costs)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of one row."""
        return self._arrays[0].shape[1:]

    def take(self, positions: np.ndarray) -> np.ndarray:
        """The rows at these positions of the split, (m, ...) float32, in memory."""
        places = self._places[positions]
        if len(self._arrays) == 1:
            return self._arrays[0][places[:, 1]]
        taken = np.empty((len(places), *self.shape), np.float32)
        for number, array in enumerate(self._arrays):
            here = places[:, 0] == number
            taken[here] = array[places[here, 1]]
        return taken


def obtain(
    cache: Cache,
    name: str,
    indices: np.ndarray,
    shape: tuple[int, ...],
    compute: Rows,
    tracing: Callable[[], float],
) -> Features:
    """The features of some images: cached rows, and the others computed and cached.

    Args:
        name: the cache key: tells everything that the rows depend on, except the image.
        indices: (n,) of the images in their published array, at least one.
        shape: of one row.
        tracing: called after computing, the seconds of it that went into tracing the graph.
    """
    arrays: list[np.ndarray] = []
    places: dict[int, tuple[int, int]] = {}
    costs: list[Cost] = []

    def add(rows: np.ndarray, images: np.ndarray, cost: Any) -> None:
        places.update({int(index): (len(arrays), row) for row, index in enumerate(images)})
        arrays.append(rows)
        costs.append(cost)

    for entry in cache.entries(KIND, name, Cost):
        if mapped := _mapped(entry):
            add(*mapped, entry.facts)
    missing = np.array([index for index in indices if int(index) not in places], np.int64)
    spent = 0.0
    if len(missing):
        rows, cost = _computed(cache, name, missing, shape, compute, tracing)
        add(rows, missing, cost)
        spent = cost["seconds"]
    ordered = np.array([places[int(index)] for index in indices], np.int64).reshape(-1, 2)
    return Features(arrays, ordered, spent, costs)


def _computed(
    cache: Cache,
    name: str,
    indices: np.ndarray,
    shape: tuple[int, ...],
    compute: Rows,
    tracing: Callable[[], float],
) -> tuple[np.ndarray, Cost]:
    """The rows, mapped from the cache or in memory, and their cost."""
    cost: Cost = {"images": len(indices), "seconds": 0.0, "tracing": 0.0}

    def timed() -> Iterator[np.ndarray]:
        began = time.perf_counter()
        yield from compute(indices)
        cost["seconds"], cost["tracing"] = time.perf_counter() - began, tracing()

    def write_rows(file: IO[bytes]) -> None:
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(indices), *shape)}
        np.lib.format.write_array_header_1_0(file, header)
        for rows in timed():
            file.write(np.ascontiguousarray(rows, "<f4").data)

    def fill(folder: Path) -> None:
        atomic.write(folder / "rows.npy", write_rows)
        atomic.write(folder / "indices.npy", lambda file: np.save(file, indices))

    with contextlib.suppress(OSError):  # a full disk costs memory and time, never the run
        entry = cache.put(KIND, name, cost, fill)
        if entry and (mapped := _mapped(entry)):
            return mapped[0], cost
    return np.concatenate(list(timed())), cost


def _mapped(entry: Entry) -> tuple[np.ndarray, np.ndarray] | None:
    """An entry's rows and indices; None where another process has just dropped it."""
    try:
        indices = np.lib.format.open_memmap(entry.path / "indices.npy", mode="r")
        return np.lib.format.open_memmap(entry.path / "rows.npy", mode="r"), np.array(indices)
    except (OSError, ValueError):
        return None
