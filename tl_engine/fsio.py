"""The only file that writes under runs/.

Three ways to write, each leaving either the old state or the new one, whatever dies in between:
replace a whole file (temporary file, fsync, rename, fsync of the folder), append one line
(fsync), and move a folder aside before it is deleted. Readers need no lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np


def write(path: Path, fill: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Replace a file with what `fill` writes; a failure leaves the old file as it was.

    Args:
        durable: wait until the disk has it; off for what is rewritten every second anyway.
    """
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            fill(file)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        _sync_folder(path.parent)


def write_json(path: Path, value: Any, *, durable: bool = True) -> None:
    """Replace a file with JSON; floats keep every bit."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    write(path, lambda file: file.write(text.encode()), durable=durable)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace an npz file (stored, not compressed: weights do not shrink)."""
    write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def write_through(path: Path, save: Callable[[Path], object]) -> None:
    """Replace a file by a writer that wants a path of its own with the right suffix."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".saving-") as folder:
        aside = Path(folder) / path.name
        save(aside)
        with open(aside, "rb") as file:
            os.fsync(file.fileno())
        os.replace(aside, path)
    _sync_folder(path.parent)


def append_line(path: Path, value: Mapping[str, Any]) -> None:
    """Append one JSON line and wait until the disk has it."""
    line = json.dumps(value, ensure_ascii=False) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def rewrite_lines(path: Path, values: list[dict[str, Any]]) -> None:
    """Replace a JSON lines file."""
    text = "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values)
    write(path, lambda file: file.write(text.encode()))


def touch(path: Path) -> None:
    """Make an empty file whose existence is the message."""
    write(path, lambda file: None)


def remove(path: Path) -> None:
    """Remove a file if it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_folder(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, readable by its owner only; parents too."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def publish_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Make a folder with its contents, visible to readers only when complete."""
    make_folder(path.parent)
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".making-"))
    try:
        fill(aside)
        os.rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    _sync_folder(path.parent)


def delete_folder(path: Path) -> None:
    """Delete a folder: gone for readers at once, its contents right after."""
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".deleted-"))
    os.rename(path, aside / path.name)
    shutil.rmtree(aside)


def open_log(path: Path) -> IO[bytes]:
    """A log to append to, for a process's standard output."""
    return open(path, "ab", buffering=0)


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
