"""Reading files and folders, whatever lies there: their contents, or DamagedError."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np

from tl_engine.errors import ClosedError, DamagedError
from tl_engine.storage import atomic

MAXIMUM_BYTES = 2**34
"""Of a file of arrays or of a model."""
MISSING = "it is missing"
WRONG = "it is not what was written"


def read_if_exists(path: Path, limit: int) -> bytes | None:
    """A file's bytes; None where it is missing.

    Raises:
        DamagedError: where it is no file, cannot be read, or has more bytes than `limit`.
    """
    try:
        with io.FileIO(atomic.open_file(path, os.O_RDONLY)) as file:
            size = os.fstat(file.fileno()).st_size
            if size > limit:
                raise DamagedError(path, f"it has {size:,} bytes, at most {limit:,} are read")
            return file.readall()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise refused(path, error) from error


def read_bytes(path: Path, sha256: str = "") -> bytes:
    """A file's bytes, with that sha256 in hex (empty checks nothing).

    Raises:
        DamagedError: where the file is missing or is not what was written.
    """
    data = read_if_exists(path, MAXIMUM_BYTES)
    if data is None:
        raise DamagedError(path, MISSING)
    compare(path, data, sha256)
    return data


def read_arrays(path: Path, sha256: str = "") -> dict[str, np.ndarray]:
    """The arrays of an npz file; arguments and errors as those of `read_bytes`."""
    if sha256:
        check_sha256(path, sha256)
    try:
        opened = os.fdopen(atomic.open_file(path, os.O_RDONLY), "rb")
        with opened as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except OSError as error:
        raise refused(path, error) from error
    except Exception as error:  # zipfile and numpy raise whatever the bytes lead them to
        raise DamagedError(path, WRONG) from error


def sha256_of(path: Path) -> str:
    """The file's sha256, in hex; raises OSError where it is missing or no file."""
    with os.fdopen(atomic.open_file(path, os.O_RDONLY), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_sha256(path: Path, expected: str) -> None:
    """Raise DamagedError where the file is missing or has another sha256."""
    try:
        found = sha256_of(path)
    except OSError as error:
        raise refused(path, error) from error
    if found != expected:
        raise DamagedError(path, WRONG)


def compare(path: Path, data: bytes, sha256: str) -> None:
    """As `check_sha256`, for a file that was read already; an empty sha256 checks nothing."""
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise DamagedError(path, WRONG)


def names_in(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder; raises DamagedError where it is gone or cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise refused(folder, error) from error


def exists(path: Path) -> bool:
    """Whether something lies there that is no link to nothing, even if it cannot be opened."""
    try:
        os.stat(path)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return os.path.lexists(path)
    return True


def require_file(entry: os.DirEntry[str]) -> None:
    """Raise DamagedError where it is something else than a file."""
    with contextlib.suppress(OSError):
        if entry.is_file():
            return
    try:
        os.close(atomic.open_file(Path(entry.path), os.O_RDONLY))
    except OSError as error:
        if not isinstance(error, FileNotFoundError) or os.path.lexists(entry.path):
            raise refused(Path(entry.path), error) from error


def refused(path: Path, error: OSError) -> DamagedError:
    """Why a file could not be opened."""
    if isinstance(error, FileNotFoundError):
        return DamagedError(path, MISSING)
    if isinstance(error, atomic.NoFileError):
        return DamagedError(path, error.what)
    if isinstance(error, PermissionError):
        return ClosedError(path, error.strerror or "not permitted")
    return DamagedError(path, f"it cannot be read ({error.strerror})")
