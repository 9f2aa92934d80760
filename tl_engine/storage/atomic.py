"""Writing that leaves either the old state or the new one, whenever the process dies.

A whole file is replaced (temporary file, fsync, rename, fsync of the folder), one line is appended
(fsync; taken back if it fails), a folder is moved aside before it is deleted. Readers need no
lock. The stores under runs/ are written through this module alone.

Every step that changes the disk calls `_step`: tests stop, fail or record there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

import numpy as np

Watch = Callable[[str, Path, "Path | bytes | None"], None]
watch: Watch | None = None
"""Called before every step with the step's name, its path, and the line to append or the path to
rename to. An exception that it raises takes the place of the step."""
TEMPORARY = (".making-", ".saving-")
ABANDONED_SECONDS = 86_400.0
KINDS = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
KINDS |= dict.fromkeys((stat.S_IFCHR, stat.S_IFBLK), "a device")


class NoFileError(OSError):
    """The path leads to something that is no file; `what` is a clause that says to what."""

    def __init__(self, path: Path, mode: int) -> None:
        self.what = f"it is {KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file"
        super().__init__(errno.EINVAL, self.what, str(path))


def open_file(path: Path, flags: int) -> int:
    """Open a file and nothing else: opening a pipe would wait for the process at its other end.

    Raises:
        NoFileError: where something else lies there.
        OSError: where it cannot be opened.
    """
    with contextlib.suppress(FileNotFoundError):
        _refuse_other(path, os.stat(path).st_mode)  # a device may act on being opened
    descriptor = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o600)
    try:
        _refuse_other(path, os.fstat(descriptor).st_mode)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse_other(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        raise NoFileError(path, mode)


def write(path: Path, fill: Callable[[IO[bytes]], object]) -> None:
    """Replace a file with what `fill` writes into a file of the same suffix; a failure leaves the
    old file as it was."""
    _step("create", path)
    descriptor, name = tempfile.mkstemp(path.suffix, f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        with open(temporary, "wb") as file:
            _step("write", temporary)
            fill(file)
            file.flush()
            _step("sync", temporary)
            os.fsync(file.fileno())
        _rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Replace an npz file (stored, not compressed: weights do not shrink)."""
    write(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def append_line(path: Path, line: bytes) -> None:
    """Append a line, which ends with a line feed, and wait until the disk has it; a failure takes
    it back."""
    descriptor = open_file(path, os.O_RDWR | os.O_APPEND | os.O_CREAT)
    try:
        length = os.fstat(descriptor).st_size
        if length and os.pread(descriptor, 1, length - 1) != b"\n":
            line = b"\n" + line  # somebody died in the middle of the line before
        try:
            _step("append", path, line)
            while line:
                line = line[os.write(descriptor, line) :]
            _step("sync", path)
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, length)
            raise
    finally:
        os.close(descriptor)


def overwrite(path: Path, data: bytes) -> None:
    """Write `data` over the beginning of a file, in place.

    The one write that a crash can leave half done: for heartbeats, which have a fixed size, are
    renewed every second, and must work on a full disk, which gives no new block.
    """
    with open(open_file(path, os.O_WRONLY | os.O_CREAT), "wb") as file:  # empties no open file
        file.write(data)


def touch(path: Path) -> None:
    """Make an empty file whose existence is the message.

    No temporary file: the process that owns the folder might remove that as abandoned.
    """
    _step("touch", path)
    os.close(open_file(path, os.O_WRONLY | os.O_CREAT))
    _sync_folder(path.parent)


def link(path: Path, target: Path) -> None:
    """Give a finished file a second name; make a copy where the disk supports no links."""
    _step("link", path, target)
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EXDEV, errno.EMLINK, errno.ENOTSUP):
            raise
        with open(path, "rb") as file:
            write(target, lambda copy: shutil.copyfileobj(file, copy))


def remove(path: Path) -> None:
    """Remove a file if it exists."""
    with contextlib.suppress(FileNotFoundError):
        _step("remove", path)
        path.unlink()
        _sync_folder(path.parent)


def set_aside(path: Path, folder: Path) -> None:
    """Move a file into a folder beside it, under a name that is free there."""
    make_folder(folder)
    number = len(os.listdir(folder)) + 1
    while (target := folder / f"{number:03d}-{path.name}").exists():
        number += 1
    _rename(path, target)


def make_folder(path: Path) -> None:
    """Make a folder and its parents, readable by their owner only."""
    if not path.is_dir():
        make_folder(path.parent)  # `parents=True` would make those above with the umask's rights
        _step("make folder", path)
        path.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(path.parent)


def publish_folder(path: Path, fill: Callable[[Path], object]) -> None:
    """Make a folder with its contents, visible to readers only when complete."""
    make_folder(path.parent)
    _step("create", path)
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".making-"))
    try:
        fill(aside)
        _rename(aside, path)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise


def delete_folder(path: Path) -> None:
    """Delete a folder: first readers see it no more, then its contents go."""
    _step("create", path)
    aside = Path(tempfile.mkdtemp(dir=path.parent, prefix=".deleted-"))
    _rename(path, aside / path.name)
    shutil.rmtree(aside, ignore_errors=True)


def sweep(folder: Path, *, live: bool) -> None:
    """Remove temporary files and folders of writers that died; where other processes may be
    writing (`live`), what is younger than a day stays."""
    for path in folder.iterdir():
        with contextlib.suppress(OSError):
            if not _is_abandoned(path, live):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink()


def open_log(path: Path) -> IO[bytes]:
    """A log to append to, for a process's standard output; readable by its owner only."""
    return open(open_file(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab", buffering=0)


def _is_abandoned(path: Path, live: bool) -> bool:
    if path.name.startswith(".deleted-"):
        return True
    is_file = path.name.startswith(".") and path.name.count(".") > 1
    if not is_file and not path.name.startswith(TEMPORARY):
        return False
    return not live or time.time() - path.lstat().st_mtime > ABANDONED_SECONDS


def _rename(path: Path, target: Path) -> None:
    _step("rename", path, target)
    os.replace(path, target)
    for folder in dict.fromkeys((target.parent, path.parent)):
        _sync_folder(folder)


def _sync_folder(path: Path) -> None:
    _step("sync folder", path)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _step(name: str, path: Path, detail: Path | bytes | None = None) -> None:
    if watch:
        watch(name, path, detail)
